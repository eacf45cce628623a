"""`Window`: what lies ahead in a `Source` that is read from its beginning to its end."""

from app.dicom.source import Source

SIZE = 256 * 1024
"""Bytes that are read at once."""
GLANCE = 12
"""Bytes of the longest head of an element."""


class Window:
    """Reads ahead, so that a source on a disk is not asked for every few bytes."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._buffer = b""
        self._base = 0

    def glance(self, at: int, size: int = SIZE) -> bytes:
        """The `GLANCE` bytes from there on, or as many as there are; `at` never goes back.

        `size`: how much to read if they are not at hand.
        """
        begin = at - self._base
        raw = self._buffer[begin : begin + GLANCE]
        if len(raw) < GLANCE:
            self._buffer, self._base = self._source.read_at(at, size), at
            raw = self._buffer[:GLANCE]
        return raw

    def read(self, at: int, length: int) -> bytes:
        """The bytes of a value, as many of them as there are."""
        begin = at - self._base
        if begin + length > len(self._buffer):
            self._buffer = self._source.read_at(at, max(length, SIZE))
            self._base, begin = at, 0
        return self._buffer[begin : begin + length]

    def holds_zeros(self, at: int, end: int) -> bool:
        """Whether all the bytes between are zero."""
        places = range(at, end, SIZE)
        return not any(
            self._source.read_at(place, min(SIZE, end - place)).strip(b"\0") for place in places
        )
