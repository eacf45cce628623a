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


class WritableSource(Source, Protocol):
    """A `Source` that is being written, from its beginning to its end."""

    def write(self, data: bytes, /) -> int:
        """Append `data` and return its length."""
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


class GrowingSource:
    """A `WritableSource` in memory."""

    def __init__(self) -> None:
        self._data = bytearray()

    @property
    def size(self) -> int:
        return len(self._data)

    def read_at(self, offset: int, length: int) -> bytes:
        return bytes(memoryview(self._data)[offset : offset + length])

    def write(self, data: bytes, /) -> int:
        self._data += data
        return len(data)
