"""`Fingerprint`: by what bytes that are read are known to be those that were stored.

SHA-256 tells it for certain, and is what two instances are compared by; CRC-32 tells it of what a
disk or a cable does to bytes, thirty times as fast, and so of every instance that is sent
(docs/decisions/0024-what-is-sent-is-compared-by-crc32.md).
"""

import hashlib
from dataclasses import dataclass
from typing import Any, cast

from imagecodecs import deflate_crc32


def crc32(data: bytes | bytearray | memoryview, before: int = 0) -> int:
    """The CRC-32 of ISO 3309, as ZIP has it, of `data` behind bytes whose CRC-32 is `before`."""
    value: int = deflate_crc32(cast(Any, data), before)  # takes any buffer, whatever it declares
    return value


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Of the bytes of an instance, as they were stored."""

    sha256: bytes
    crc32: int | None
    """None of what was stored before it was taken: then SHA-256 is compared."""

    def is_of(self, data: bytes) -> bool:
        """Whether these are the bytes."""
        comparison = Comparison(self)
        comparison.take(data)
        return comparison.is_equal


class Comparison:
    """Of bytes that come a piece at a time with what they have to be."""

    def __init__(self, expected: Fingerprint) -> None:
        self._expected = expected
        self._crc32 = 0
        self._sha256 = hashlib.sha256() if expected.crc32 is None else None

    def take(self, piece: bytes) -> None:
        """Compare the next piece too."""
        if self._sha256 is None:
            self._crc32 = crc32(piece, self._crc32)
        else:
            self._sha256.update(piece)

    @property
    def is_equal(self) -> bool:
        """Whether what was taken is all of the bytes, and nothing else."""
        if self._sha256 is None:
            return self._crc32 == self._expected.crc32
        return self._sha256.digest() == self._expected.sha256
