"""`JsonText`: JSON that is longer than one likes to hold, compressed while it grows."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

LONG = 64 * 1024
"""Bytes of JSON from which on it is compressed."""

PACKED = "Packed"
"""The key of finished items in an element, in the place of "Value": there are no objects to look
at for who asks for a value."""

_PIECE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Packed:
    """Finished JSON, compressed (zlib)."""

    data: bytes
    length: int
    """Of the JSON, in bytes."""

    def pieces(self) -> Iterator[bytes]:
        """The JSON, in pieces of at most 1 MiB."""
        inflate = zlib.decompressobj()
        rest = self.data
        while rest:
            yield inflate.decompress(rest, _PIECE)
            rest = inflate.unconsumed_tail


class JsonText:
    """JSON being written: append to `tail`, and call `settle` between its values."""

    def __init__(self) -> None:
        self.tail = bytearray()
        """What has been written last."""
        self._packing: zlib._Compress | None = None
        self._packed: list[bytes] = []
        self.settled = 0
        """Bytes that came before the tail."""

    def settle(self) -> None:
        """Compress the tail."""
        self._packed.append(self._deflator.compress(self.tail))
        self.settled += len(self.tail)
        self.tail = bytearray()

    def reorder(self, places: Sequence[int]) -> None:
        """Put the members of the object that ends here in order; `places` is where each begins.

        All of them are in the tail.
        """
        begins = [place - self.settled for place in places]
        ends = [*(begin - len(b",") for begin in begins[1:]), len(self.tail) - len(b"}")]
        members = sorted(self.tail[span[0] : span[1]] for span in zip(begins, ends, strict=True))
        self.tail[begins[0] :] = b",".join(members) + b"}"

    def __len__(self) -> int:
        return self.settled + len(self.tail)

    def finish(self) -> Packed:
        """All that was written."""
        length = len(self)
        self._packed += (self._deflator.compress(self.tail), self._deflator.flush())
        return Packed(b"".join(self._packed), length)

    @property
    def _deflator(self) -> "zlib._Compress":
        if self._packing is None:
            self._packing = zlib.compressobj(1)
        return self._packing
