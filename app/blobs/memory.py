"""Blobs in the memory of this process: for tests and for trying things out. Gone with it."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime

from app.blobs.contract import PIECE, BlobExists, BlobInfo, BlobMissing, Upload
from app.blobs.keys import checked
from app.span import Span


class MemoryBlobs:
    """A store of blobs that keeps the contract except that nothing outlives the process."""

    def __init__(self) -> None:
        self._blobs: dict[str, tuple[bytes, datetime]] = {}

    async def put(self, key: str, upload: Upload) -> None:
        if checked(key) in self._blobs:
            raise BlobExists
        self._blobs[key] = upload.read_at(0, upload.size), datetime.now(UTC)

    async def read(self, key: str, span: Span) -> bytes:
        return self._cut(key, span)

    async def stream(self, key: str, span: Span) -> AsyncIterator[bytes]:
        data = memoryview(self._cut(key, span))
        for start in range(0, len(data), PIECE):
            yield bytes(data[start : start + PIECE])

    async def size(self, key: str) -> int:
        return len(self._bytes(key))

    async def lost(self, lengths: Mapping[str, int]) -> frozenset[str]:
        there = {key: len(data) for key, (data, _) in self._blobs.items()}
        return frozenset(key for key, length in lengths.items() if there.get(key, -1) < length)

    async def delete(self, key: str) -> None:
        self._blobs.pop(checked(key), None)

    async def list(self, prefix: str = "") -> AsyncIterator[BlobInfo]:
        for key, (data, written_at) in list(self._blobs.items()):
            if key.startswith(prefix):
                yield BlobInfo(key, len(data), written_at)

    async def check(self) -> None:
        return

    async def close(self) -> None:
        self._blobs.clear()

    def _bytes(self, key: str) -> bytes:
        try:
            return self._blobs[checked(key)][0]
        except KeyError:
            raise BlobMissing(f"There is no blob {key}.") from None

    def _cut(self, key: str, span: Span) -> bytes:
        data = self._bytes(key)
        if span.end > len(data):
            raise BlobMissing(f"Blob {key} has {len(data)} bytes, {span.end} were expected.")
        return data[span.offset : span.end]
