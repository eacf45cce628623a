"""Deflated data sets (PS3.5 A.5), inflated as a stream into whatever can be written and read.

The inflated file is the preamble and File Meta as they are, then the data set inflated; every span
of a deflated instance counts in it. How long the data set may become is the caller's to say.

Behind the data set may be zeros, and before them the trailer of gzip (RFC 1952 2.3.1), which some
writers leave there: the CRC-32 and the length of what was deflated.
"""

import struct
import zlib

from app.dicom import reasons
from app.dicom.dataset import Unreadable
from app.dicom.part10 import read_file_meta
from app.dicom.source import BytesSource, Source, WritableSource
from app.fingerprint import crc32

PIECE = 1024 * 1024
_HEAD = 256 * 1024
"""Bytes of the file in which File Meta ends."""
_TRAILER = struct.Struct("<2I")
_SOMETHING_FOLLOWS = "something follows the deflated data set"


class Inflater:
    """Writes the inflated file as the bytes of the deflated one are fed to it."""

    def __init__(self, target: WritableSource, most: int) -> None:
        """`most`: bytes of the inflated data set."""
        self._target = target
        self._most = most
        self._inflated = 0
        self._crc32 = 0
        self._behind = b""
        self._head: bytes | None = b""
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)

    def feed(self, data: bytes) -> None:
        """Go on with the next bytes. Raises `Unreadable`."""
        if self._head is None:
            self._write(data)
            return
        self._head += data
        if len(self._head) >= _HEAD:
            self._begin(self._head)

    def finish(self) -> None:
        """All bytes have been fed. Raises `Unreadable` if the data set does not end with them."""
        if self._head is not None:
            self._begin(self._head)
        if not self._inflate.eof:
            raise Unreadable("the deflated data set has no end")
        trailer = _TRAILER.pack(self._crc32, self._inflated & 0xFFFFFFFF)
        if self._behind.strip(b"\0") and self._behind != trailer:
            raise Unreadable(_SOMETHING_FOLLOWS)

    def _begin(self, head: bytes) -> None:
        end = read_file_meta(BytesSource(head)).end
        self._head = None
        self._target.write(head[:end])
        self._write(head[end:])

    def _write(self, data: bytes) -> None:
        piece = b""
        # Behind a whole piece there may be more although all of the data are taken.
        while (data or len(piece) == PIECE) and not self._inflate.eof:
            try:
                piece = self._inflate.decompress(data, PIECE)
            except zlib.error as error:
                raise Unreadable("the deflated data set is broken") from error
            self._inflated += len(piece)
            if self._inflated > self._most:
                raise Unreadable(
                    f"inflated, it has more than {self._most} bytes",
                    reason=reasons.OUT_OF_RESOURCES,
                )
            self._crc32 = crc32(piece, self._crc32)
            self._target.write(piece)
            data = self._inflate.unused_data or self._inflate.unconsumed_tail
        if self._inflate.eof:
            room = _TRAILER.size - len(self._behind)
            self._behind += data[:room]
            if data[room:].strip(b"\0"):
                raise Unreadable(_SOMETHING_FOLLOWS)


def inflate(source: Source, target: WritableSource, most: int) -> None:
    """Write the inflated file of a deflated one. Raises `Unreadable`."""
    inflater = Inflater(target, most)
    for offset in range(0, source.size, PIECE):
        inflater.feed(source.read_at(offset, PIECE))
    inflater.finish()
