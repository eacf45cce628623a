"""`Cache`: bytes that can be made again, kept in a folder of this machine up to a size.

    <folder>/ab/cdef…     one file a key: 16 bytes of digest, then what was put

Rules:
- Any number of processes may use one folder. What is put appears whole or not at all; whoever puts
  the same key puts the same bytes.
- Nothing waits for the disk's word that it has them: what a power cut has spoilt is seen by its
  digest, which has the key in it, and counts as not there.
- What is old goes, and beyond the size the oldest goes first. Old is a day: until then, what has
  been deleted may still lie here, where nobody can ask for it.
- A cache that cannot be written is no cache, and no error.
"""

import asyncio
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from app.blobs.local import OpenFile
from app.span import Span

OLDEST_SECONDS = 24 * 60 * 60
SECONDS_BETWEEN_LOOKS = 10 * 60
_DIGEST = 16
_PENDING = 16
"""Puts that are under way; what comes beyond that is not kept."""
_PART = 16
"""A process looks after the size when it has put this part of it."""


class Cache:
    """The folder, and what this process has to do with it."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        """`most_bytes`: of all that is kept; 0 keeps nothing."""
        self._folder = folder
        self._most_bytes = most_bytes
        self._put_bytes = 0
        self._looked = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    async def get(self, key: str) -> bytes | None:
        """What was put under the key (hex digits), if it is still there and whole."""
        if not self._most_bytes:
            return None
        try:
            file = OpenFile(self._path(key))
            kept = file.read_cached(Span(0, file.size))
            if len(kept) < file.size:
                kept = await asyncio.to_thread(file.read_fully, Span(0, file.size))
        except OSError:
            return None
        data = kept[_DIGEST:]
        return data if kept[:_DIGEST] == digest_of(key, data) else None

    def put(self, key: str, data: bytes) -> None:
        """Keep the data under the key, soon and if possible."""
        if not data or len(data) > self._most_bytes // _PART or len(self._tasks) >= _PENDING:
            return
        self._put_bytes += len(data)
        self._begin(self._write, key, data)
        if self._put_bytes > self._most_bytes // _PART:
            self._put_bytes = 0
            self._begin(self._remove)

    async def tidy(self) -> None:
        """Remove what is old or too much, if that has not been done for a while."""
        if time.monotonic() - self._looked > SECONDS_BETWEEN_LOOKS:
            self._looked = time.monotonic()
            await asyncio.to_thread(self._remove)

    async def close(self) -> None:
        """Return when nothing is being written any more."""
        await asyncio.gather(*self._tasks)

    def _begin(self, work: Callable[..., None], *arguments: object) -> None:
        task = asyncio.create_task(asyncio.to_thread(work, *arguments))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / key[2:]

    def _write(self, key: str, data: bytes) -> None:
        path = self._path(key)
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            number, name = tempfile.mkstemp(dir=path.parent)
            try:
                with os.fdopen(number, "wb") as file:
                    file.write(digest_of(key, data))
                    file.write(data)
                Path(name).rename(path)
            except OSError:
                Path(name).unlink(missing_ok=True)

    def _remove(self) -> None:
        """Remove what is older than a day; then the oldest, until there is some room again."""
        kept = sorted(self._files())
        size = sum(length for _, length, _ in kept)
        room = self._most_bytes - self._most_bytes // _PART if size > self._most_bytes else size
        oldest = time.time() - OLDEST_SECONDS
        for changed, length, path in kept:
            if changed >= oldest and size <= room:
                break
            with suppress(OSError):
                path.unlink(missing_ok=True)  # another process may have done so
            size -= length

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """When each file was written, its length and its place."""
        with suppress(OSError):
            for folder in self._folder.iterdir():
                with suppress(OSError), os.scandir(folder) as entries:
                    for entry in entries:
                        with suppress(OSError):
                            about = entry.stat()
                            yield about.st_mtime, about.st_size, Path(entry.path)


def digest_of(key: str, data: bytes) -> bytes:
    """By which data are known to be those that were put under the key."""
    return hashlib.blake2b(data, digest_size=_DIGEST, key=key.encode()[:64]).digest()
