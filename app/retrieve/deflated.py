"""JSON that is kept compressed, joined and sent without being compressed again.

DEFLATE (RFC 1951) is a run of blocks. Blocks that end at a byte and refer to nothing before their
own beginning can be put one after another, and a gzip file (RFC 1952) is a head, such blocks, and
the length and the checksum of everything, which follow from those of the pieces.

    Deflator     texts    ->  pieces of one run, made one after another
    joined       pieces   ->  one piece
    Gzip         pieces   ->  one gzip file
    Inflater     pieces   ->  the text
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from functools import lru_cache, reduce

from app.blobs.contract import CHUNK
from app.index.series_metadata import Deflated

LEVEL = 6
"""Made once and sent many times."""

_RAW = -zlib.MAX_WBITS
_GZIP_HEAD = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
_LAST_BLOCK = b"\x03\0"
_POLYNOMIAL = 0xEDB88320  # of CRC-32, with the lowest power in the highest bit
_ONE = 1 << 31


def verbatim(text: bytes) -> Deflated:
    """A short text as a block of its own, which is not compressed."""
    head = struct.pack("<BHH", 0, len(text), len(text) ^ 0xFFFF)
    return Deflated(head + text, len(text), zlib.crc32(text))


class Deflator:
    """Compresses one text in pieces, each of which can be sent when it is made."""

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, _RAW)

    def feed(self, texts: Iterable[bytes]) -> Deflated:
        """The texts, one after another, as the next piece."""
        blocks, length, crc32 = [], 0, 0
        for text in texts:
            blocks.append(self._compressor.compress(text))
            length += len(text)
            crc32 = zlib.crc32(text, crc32)
        blocks.append(self._compressor.flush(zlib.Z_SYNC_FLUSH))
        return Deflated(b"".join(blocks), length, crc32)


def joined(pieces: Iterable[Deflated]) -> Deflated:
    """The pieces as one."""
    together = list(pieces)
    blocks = b"".join(piece.blocks for piece in together)
    length = sum(piece.length for piece in together)
    return Deflated(blocks, length, reduce(_checksum, together, 0))


class Gzip:
    """One gzip file of pieces, as they lie."""

    def __init__(self) -> None:
        self._length = 0
        self._crc32 = 0

    def begin(self) -> bytes:
        """What comes before the first piece."""
        return _GZIP_HEAD

    def add(self, piece: Deflated) -> Iterator[bytes]:
        """The next piece as it is sent."""
        self._length += piece.length
        self._crc32 = _checksum(self._crc32, piece)
        yield piece.blocks

    def end(self) -> bytes:
        """What comes after the last piece."""
        return _LAST_BLOCK + struct.pack("<II", self._crc32, self._length & 0xFFFFFFFF)


class Inflater:
    """The text of pieces, for who does not take gzip."""

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(_RAW)

    def begin(self) -> bytes:
        """What comes before the first piece."""
        return b""

    def add(self, piece: Deflated) -> Iterator[bytes]:
        """The text of the next piece, at most `CHUNK` bytes at a time."""
        # Behind the text is an empty block, or the text is a block that is not compressed: so long
        # as there is more of it, there are blocks left.
        blocks = piece.blocks
        while blocks:
            yield self._inflater.decompress(blocks, CHUNK)
            blocks = self._inflater.unconsumed_tail

    def end(self) -> bytes:
        """What comes after the last piece."""
        return b""


def _checksum(before: int, piece: Deflated) -> int:
    """The CRC-32 of a text with this CRC-32 and the piece after it.

    A CRC is a remainder of polynomials over GF(2). Bytes that follow multiply what was before by a
    power of x, and add what they are themselves.
    """
    return _multiplied(_power(8 * piece.length), before) ^ piece.crc32


@lru_cache(maxsize=4096)
def _power(bits: int) -> int:
    """The polynomial x^bits, reduced."""
    result, square = _ONE, _ONE >> 1
    while bits:
        if bits & 1:
            result = _multiplied(square, result)
        square = _multiplied(square, square)
        bits >>= 1
    return result


def _multiplied(one: int, other: int) -> int:
    """The product of two polynomials, reduced."""
    result = 0
    while one:
        if one & _ONE:
            result ^= other
        one = one << 1 & 0xFFFFFFFF
        other = other >> 1 ^ (_POLYNOMIAL if other & 1 else 0)
    return result
