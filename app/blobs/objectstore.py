"""Blobs as objects of S3, Google Cloud Storage or Azure, through obstore.

Rules:
- Only obstore's synchronous functions, in threads of our own: its asynchronous ones can abort the
  interpreter at exit. A store is opened in the process that uses it, never before a fork.
- Nothing is held whole: beyond `SINGLE_BYTES` bytes go out in parts, and come in as a stream.
- Small blobs are put create-only by one conditional request. Large ones go in parts, which cannot
  be conditional, so the key is claimed first by a conditional put of an empty object beside it.
  The claim is removed after success; after a failure it stays until the key is deleted.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import ObjectStore

from app.blobs.contract import (
    CHUNK,
    PIECE,
    BlobExists,
    BlobInfo,
    BlobMissing,
    BlobsUnavailable,
    Upload,
)
from app.blobs.keys import checked
from app.faults import Point, reach
from app.span import Span

SINGLE_BYTES = 8 * CHUNK
"""Longest blob that is put by a single request, from memory."""

PART_BYTES = 5 * CHUNK
"""Bytes of a part: the least that S3 allows, since every part of an upload is held in memory."""

MOST_PARTS = 10_000
THREADS = 16

_T = TypeVar("_T")
_CLAIM = ".claim"  # a dot is in no key


class ObjectStoreBlobs:
    """Blobs in one bucket or container, under the prefix that the `ObjectStore` was opened with."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="blobs")

    async def put(self, key: str, upload: Upload) -> None:
        put = self._put_single if upload.size <= SINGLE_BYTES else self._put_in_parts
        try:
            await self._run(put, checked(key), upload)
        except BlobMissing as error:
            raise BlobsUnavailable("There is no bucket for the blob.") from error

    async def read(self, key: str, span: Span) -> bytes:
        return await self._run(self._read, checked(key), span)

    async def stream(self, key: str, span: Span) -> AsyncIterator[bytes]:
        pieces = await self._run(self._pieces, checked(key), span)
        received = 0
        while received < span.length:
            data = memoryview(await self._run(_next, pieces))
            if not data:
                raise BlobsUnavailable(f"The stream of blob {key} ended early.")
            received += len(data)
            for start in range(0, len(data), PIECE):
                yield bytes(data[start : start + PIECE])

    async def size(self, key: str) -> int:
        return await self._run(self._size, checked(key))

    async def lost(self, lengths: Mapping[str, int]) -> frozenset[str]:
        del lengths  # it would take a request for each
        return frozenset()

    async def delete(self, key: str) -> None:
        await self._run(self._delete, checked(key))

    async def list(self, prefix: str = "") -> AsyncIterator[BlobInfo]:
        folder, _, _ = prefix.rpartition("/")  # obstore matches whole segments only
        pages = obstore.list(self._store, folder or None, chunk_size=1000)
        while page := await self._run(next, pages, None):
            for about in page:
                key = about["path"]
                if key.startswith(prefix) and not key.endswith(_CLAIM):
                    yield BlobInfo(key, about["size"], about["last_modified"])

    async def check(self) -> None:
        await self._run(self._check)

    async def close(self) -> None:
        await asyncio.to_thread(self._threads.shutdown)

    async def _run(self, work: Callable[..., _T], *arguments: object) -> _T:
        call = partial(self._translated, work, *arguments)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def _translated(self, work: Callable[..., _T], *arguments: object) -> _T:
        try:
            with _errors_translated():
                return work(*arguments)
        except BlobMissing:
            with _errors_translated():
                self._check()  # where there is no bucket, every blob is said not to be there
            raise

    def _put_single(self, key: str, upload: Upload) -> None:
        self._create(key, upload.read_at(0, upload.size))

    def _put_in_parts(self, key: str, upload: Upload) -> None:
        claim = key + _CLAIM
        self._create(claim, b"")
        reach(Point.IN_PUT)
        try:
            obstore.head(self._store, key)
        except FileNotFoundError:
            obstore.put(
                self._store,
                key,
                _in_pieces(upload) if upload.path is None else Path(upload.path),
                use_multipart=True,
                chunk_size=max(PART_BYTES, -(-upload.size // MOST_PARTS)),
                max_concurrency=2,
            )
            obstore.delete(self._store, claim)
            return
        obstore.delete(self._store, claim)
        raise BlobExists

    def _create(self, key: str, data: bytes) -> None:
        try:
            obstore.put(self._store, key, data, mode="create", use_multipart=False)
        except (AlreadyExistsError, PreconditionError) as error:
            raise BlobExists from error

    def _read(self, key: str, span: Span) -> bytes:
        if not span.length:
            self._require(key, span)
            return b""
        try:
            data = obstore.get_range(self._store, key, start=span.offset, end=span.end)
        except BaseError:
            self._require(key, span)  # the usual reason is a span that begins beyond the end
            raise
        if len(data) < span.length:
            self._require(key, span)
            raise BlobsUnavailable(f"Blob {key} was sent incompletely.")
        return data.to_bytes()

    def _pieces(self, key: str, span: Span) -> Iterator[bytes]:
        if not span.length:
            self._require(key, span)
            return iter(())
        try:
            answer = obstore.get(self._store, key, options={"range": (span.offset, span.end)})
        except BaseError:
            self._require(key, span)
            raise
        if span.end > answer.meta["size"]:
            raise _too_short(key, answer.meta["size"], span)
        return iter(answer.stream(min_chunk_size=PIECE))

    def _size(self, key: str) -> int:
        return obstore.head(self._store, key)["size"]

    def _require(self, key: str, span: Span) -> None:
        """Raise `BlobMissing` unless the blob reaches to the end of `span`."""
        size = self._size(key)
        if span.end > size:
            raise _too_short(key, size, span)

    def _delete(self, key: str) -> None:
        for path in (key, key + _CLAIM):
            try:
                obstore.delete(self._store, path)
            except FileNotFoundError:
                self._check()

    def _check(self) -> None:
        next(iter(obstore.list(self._store, chunk_size=1)), None)


def _in_pieces(upload: Upload) -> Iterator[bytes]:
    for offset in range(0, upload.size, CHUNK):
        yield upload.read_at(offset, CHUNK)


def _next(pieces: Iterator[bytes]) -> bytes:
    return next(pieces, b"")


def _too_short(key: str, size: int, span: Span) -> BlobMissing:
    return BlobMissing(f"Blob {key} has {size} bytes, {span.end} were expected.")


@contextmanager
def _errors_translated() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise BlobMissing from error
    except (BaseError, OSError) as error:
        # The library's text names the host and the bucket: kept for the log, not for the caller.
        raise BlobsUnavailable from error
