"""Instances rewritten in another transfer syntax, as a stream (PS3.5 Annex A).

    transcoder = Transcoder()
    for piece in pieces_of_the_file:
        send each of transcoder.feed(piece)
    transcoder.finish()

Rules:
- Input may be cut anywhere and no more of it is held than one element's header and a piece; a
  value of any length passes through. Memory does not grow with the instance.
- What changes is the encoding: tags, VRs and lengths in explicit little endian, the words of big
  endian values turned around, deflated bytes inflated. VRs that the file does not state are those
  of `app.dicom.values.vr_of`. Values, their order and private elements stay; the preamble stays.
- Sequences and items get undefined lengths, since how long they become is not known before they
  have been read. Group lengths, which the standard has retired, are left out.
- A native instance that is explicit little endian already passes through with new File Meta only.
- The new transfer syntax is one that encodes data sets in Explicit VR Little Endian, as most do.
"""

import zlib
from collections.abc import Iterable, Iterator

from app.dicom.dataset import Unreadable
from app.dicom.elements import PIXEL_DATA, Changes, Elements
from app.dicom.encoding import LONG_VRS
from app.dicom.part10 import read_file_meta
from app.dicom.source import BytesSource
from app.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN, transfer_syntax
from app.errors import Unprocessable

PIECE = 1024 * 1024
"""Bytes of the longest piece that comes out of inflating."""

_HEAD = 132 + 64 * 1024
"""Bytes in which preamble and File Meta end."""


def rewritten(pieces: Iterable[bytes], target: str) -> Iterator[bytes]:
    """The instance whose Part 10 file comes in `pieces`, in Explicit VR Little Endian or deflated.

    Raises `Unprocessable` if it is compressed, ends too early or cannot be read.
    """
    transcoder = Transcoder(target)
    for piece in pieces:
        yield from transcoder.feed(piece)
    yield from transcoder.finish()


class Transcoder:
    """One instance on its way from one transfer syntax to another.

    Pixels are not touched: whoever decodes or encodes them feeds what comes before and after their
    element, and inserts that element in between.
    """

    def __init__(
        self,
        target: str = EXPLICIT_VR_LITTLE_ENDIAN,
        changes: Changes | None = None,
        *,
        inflated: bool = False,
    ) -> None:
        """`target`: a transfer syntax that encodes data sets in Explicit VR Little Endian.

        `changes`: to the data set, where its pixels are recoded; without them it has to be native.
        `inflated`: whether a data set that was deflated has been inflated before.
        """
        self._target = target
        self._changes = changes
        self._inflated = inflated
        self._head: bytes | None = b""
        self._inflater: zlib._Decompress | None = None
        self._elements: Elements | None = None
        self._deflater: zlib._Compress | None = None
        if transfer_syntax(target).deflated:
            self._deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What comes out for the next bytes of the Part 10 file. Raises `Unprocessable`."""
        if self._head is None:
            yield from self._rewritten(data)
            return
        self._head += data
        if len(self._head) >= _HEAD:
            yield from self._begin()

    def insert(self, element: bytes) -> Iterator[bytes]:
        """Bytes of Pixel Data, or what follows of it, in the target's encoding.

        Raises `Unprocessable` if what was fed before has not come to the end of an element.
        """
        if self._head is not None:
            yield from self._begin()
        if self._elements is not None:
            yield from self._out(self._elements.pause(PIXEL_DATA))
        yield from self._out(element)

    def finish(self) -> Iterator[bytes]:
        """What is left at the end of the file. Raises `Unprocessable` if it is no end."""
        if self._head is not None:
            yield from self._begin()
        if self._inflater is not None and not self._inflater.eof:
            raise Unprocessable("The instance cannot be transcoded: its deflated data set is cut.")
        if self._elements is not None:
            yield from self._out(self._elements.finish())
        if self._deflater is not None:
            yield self._deflater.flush()

    def _begin(self) -> Iterator[bytes]:
        assert self._head is not None
        head = self._head
        try:
            meta = read_file_meta(BytesSource(head))
        except Unreadable as error:
            raise Unprocessable(f"The instance cannot be transcoded: {error}") from error
        syntax = transfer_syntax(meta.transfer_syntax_uid)
        if syntax.encapsulated and self._changes is None:
            raise Unprocessable("A compressed instance is not rewritten here.")
        self._head = None
        if syntax.deflated and not self._inflated:
            self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        if syntax.implicit or syntax.big_endian or self._changes is not None:
            self._elements = Elements(syntax, self._changes or {})
        yield head[:132] + _file_meta(head[132 : meta.end], self._target)
        yield from self._rewritten(head[meta.end :])

    def _rewritten(self, data: bytes) -> Iterator[bytes]:
        for piece in self._inflate(data):
            yield from self._out(piece if self._elements is None else self._elements.feed(piece))

    def _inflate(self, data: bytes) -> Iterator[bytes]:
        if self._inflater is None:
            yield data
            return
        piece = b""
        # Behind a whole piece there may be more although all of the data are taken.
        while data or len(piece) == PIECE:
            try:
                piece = self._inflater.decompress(data, PIECE)
            except zlib.error as error:
                raise Unprocessable(f"The data set cannot be inflated: {error}") from error
            yield piece
            data = self._inflater.unconsumed_tail

    def _out(self, data: bytes) -> Iterator[bytes]:
        if self._deflater is not None:
            data = self._deflater.compress(data)
        if data:
            yield data


def _file_meta(elements: bytes, target: str) -> bytes:
    """File Meta with the new transfer syntax and the group length that follows from it."""
    kept = b""
    at = 0
    while at < len(elements):
        element = elements[at + 2 : at + 4]
        if elements[at + 4 : at + 6].decode("latin-1") in LONG_VRS:
            end = at + 12 + int.from_bytes(elements[at + 8 : at + 12], "little")
        else:
            end = at + 8 + int.from_bytes(elements[at + 6 : at + 8], "little")
        if element == b"\x10\x00":
            uid = target.encode()
            uid += b"\0" * (len(uid) % 2)
            kept += b"\x02\x00\x10\x00UI" + len(uid).to_bytes(2, "little") + uid
        elif element != b"\x00\x00":
            kept += elements[at:end]
        at = end
    return b"\x02\x00\x00\x00UL\x04\x00" + len(kept).to_bytes(4, "little") + kept
