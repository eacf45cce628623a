"""`WalkLevel`: what the walk (`app.dicom.walker`) keeps of a data set, or item, that it is in."""

from app.dicom.encoding import Encoding


class WalkLevel:
    """A data set that is being read: the main one, or an item in it."""

    __slots__ = (
        "charsets", "creators", "depth", "encoding", "highest", "path", "places", "seen", "signed",
        "tags",
    )  # fmt: skip

    def __init__(
        self, encoding: Encoding, charsets: list[str], path: str, depth: int, *, signed: bool
    ) -> None:
        self.encoding = encoding
        self.charsets = charsets
        self.path = path
        self.depth = depth
        self.signed = signed
        """Whether Pixel Representation, here or further out, says that pixels are."""
        self.tags: list[int] = []
        self.places: list[int] = []
        """Where the JSON of each element begins that became text."""
        self.highest = -1
        self.seen: set[int] = set()
        """The tags, once one of them was out of order."""
        self.creators: dict[int, str] = {}
        """Whose the private blocks are, by the tags of their creators (PS3.5 7.8.1)."""

    def item(self, key: str, number: int, encoding: Encoding) -> "WalkLevel":
        """An item of a sequence in it (PS3.3 C.12.1.1.2: what it inherits)."""
        path = f"{self.path}{key}/{number}/"
        return WalkLevel(encoding, self.charsets, path, self.depth + 1, signed=self.signed)

    def creator(self, tag: int) -> str | None:
        """Who made this private element, if that is told."""
        return self.creators.get(tag & 0xFFFF0000 | tag >> 8 & 0xFF) if self.creators else None
