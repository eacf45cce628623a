"""`Source`: bytes that can be read at any place; what every reader of DICOM here is handed."""

from typing import Protocol


class Source(Protocol):
    """A finite run of bytes with random access, for example a spooled part of a request."""

    @property
    def size(self) -> int:
        """How many bytes there are."""
        ...

    def read_at(self, offset: int, length: int) -> bytes:
        """The bytes from `offset` on, `length` of them or as many as there are."""
        ...


class BytesSource:
    """A `Source` over bytes that are in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def size(self) -> int:
        return len(self._data)

    def read_at(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length]
