"""Blobs as files of a local (or mounted) disk: the default.

    <root>/p1/20240229/a/abcd…    one file a blob, named by its key; read-only once it has its name
    <root>/.incoming/             copies that do not have their name yet

Rules:
- A blob is complete and on stable storage before it has its name: write aside, fdatasync, link
  (which fails if the name is taken), fsync of the folder, and of every folder made on the way.
- Bytes that are a file of the same file system already are linked, not copied. To copy takes few
  calls: in a thread, each of them may wait for its turn of the interpreter.
- What lies in the page cache is read at once, in the event loop; a thread is for the disk.
- An open file is closed by its last user, so that a thread that outlives a cancelled request never
  reads from a descriptor that has become somebody else's.
"""

import asyncio
import errno
import os
import stat
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from app.blobs.contract import (
    CHUNK,
    PIECE,
    BlobExists,
    BlobInfo,
    BlobMissing,
    BlobsFull,
    BlobsUnavailable,
    Upload,
)
from app.blobs.keys import checked
from app.faults import Point, reach
from app.span import Span

INLINE_BYTES = CHUNK
"""Longest read that is tried in the event loop: copying more from the cache would hold it up."""

_INCOMING = ".incoming"
_OLD_SECONDS = 24 * 60 * 60
_MOST_FOLDERS = 10_000  # remembered; forgetting one costs a sync
_NOT_CACHED = {errno.EAGAIN, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
_READ_NOW = getattr(os, "RWF_NOWAIT", None)


class LocalBlobs:
    """A folder of blobs. Several processes may use one folder at the same time."""

    def __init__(self, root: Path) -> None:
        """Open `root`, making it if needed; raises `BlobsUnavailable` if that is impossible."""
        self._root = root.absolute()
        self._root_name = str(self._root)
        self._incoming = self._root / _INCOMING
        self._incoming_name = str(self._incoming)
        self._durable_folders: set[Path] = set()
        with _errors_translated():
            self._incoming.mkdir(parents=True, exist_ok=True)
            _sync_folder(self._root.parent)
            _sync_folder(self._root)
            self._remove_old_copies()

    async def put(self, key: str, upload: Upload) -> None:
        await asyncio.to_thread(self._put, key, upload)

    async def read(self, key: str, span: Span) -> bytes:
        file = self._open(key, span)
        return await _read(file, span)

    async def stream(self, key: str, span: Span) -> AsyncIterator[bytes]:
        file = self._open(key, span)
        for offset in range(span.offset, span.end, PIECE):
            yield await _read(file, Span(offset, min(PIECE, span.end - offset)))

    async def size(self, key: str) -> int:
        with _errors_translated(key):
            return os.stat(self._name(key)).st_size  # noqa: PTH116

    async def lost(self, lengths: Mapping[str, int]) -> frozenset[str]:
        return await asyncio.to_thread(self._lost, lengths)

    async def delete(self, key: str) -> None:
        await asyncio.to_thread(self._delete, self._path(key))

    async def list(self, prefix: str = "") -> AsyncIterator[BlobInfo]:
        folder, _, _ = prefix.rpartition("/")
        waiting = [self._root / folder]
        while waiting:
            for path, about in await asyncio.to_thread(_scan, waiting.pop()):
                # What somebody else has put there may be called anything.
                key = os.fsencode(path.relative_to(self._root)).decode(errors="backslashreplace")
                if stat.S_ISDIR(about.st_mode):
                    if path != self._incoming and (key + "/").startswith(prefix[: len(key) + 1]):
                        waiting.append(path)
                elif key.startswith(prefix):
                    written_at = datetime.fromtimestamp(about.st_mtime, UTC)
                    yield BlobInfo(key, about.st_size, written_at)

    async def check(self) -> None:
        await asyncio.to_thread(self._check)

    async def close(self) -> None:
        return

    def _path(self, key: str) -> Path:
        return self._root / checked(key)

    def _name(self, key: str) -> str:
        """The same for who reads, made ten times as fast."""
        return f"{self._root_name}/{checked(key)}"

    def _put(self, key: str, upload: Upload) -> None:
        target = self._path(key)
        with _errors_translated():
            self._make_folder(target.parent)
            if not (upload.path and self._link_durably(upload.path, target)):
                self._copy_durably(upload, f"{self._incoming_name}/{key.replace('/', '.')}", target)
            reach(Point.IN_PUT)
            _sync_folder(target.parent)

    def _link_durably(self, source: str, target: Path) -> bool:
        """Give a file of bytes their name; False if it lies on another file system."""
        file = os.open(source, os.O_RDONLY)
        try:
            os.fdatasync(file)
        finally:
            os.close(file)
        reach(Point.IN_PUT)
        try:
            _link(source, target)
        except OSError as error:
            if error.errno == errno.EXDEV:
                return False
            raise
        return True

    def _copy_durably(self, upload: Upload, aside: str, target: Path) -> None:
        """Write bytes aside and give them their name."""
        try:
            file = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise BlobExists from None  # or is about to
        try:
            try:
                for offset in range(0, upload.size, CHUNK):
                    rest = memoryview(upload.read_at(offset, CHUNK))
                    while rest:
                        rest = rest[os.write(file, rest) :]
                os.fdatasync(file)
            finally:
                os.close(file)
            reach(Point.IN_PUT)
            _link(aside, target)
        finally:
            os.unlink(aside)  # noqa: PTH108  (a name, not a path)

    def _make_folder(self, folder: Path) -> None:
        """Make `folder` so that it survives a crash.

        A folder that is there may have been made by another process that has not synced it yet, so
        each process trusts only what it has synced itself.
        """
        if folder in self._durable_folders or folder == self._root:
            return
        if len(self._durable_folders) > _MOST_FOLDERS:
            self._durable_folders.clear()
        self._make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)
        self._durable_folders.add(folder)

    def _open(self, key: str, span: Span) -> "OpenFile":
        with _errors_translated(key):
            file = OpenFile(self._name(key))
        if span.end > file.size:
            raise BlobMissing(f"Blob {key} has {file.size} bytes, {span.end} were expected.")
        return file

    def _lost(self, lengths: Mapping[str, int]) -> frozenset[str]:
        return frozenset(
            key for key, length in lengths.items() if _size_of(self._name(key)) < length
        )

    def _delete(self, path: Path) -> None:
        with _errors_translated():
            path.unlink(missing_ok=True)

    def _check(self) -> None:
        with _errors_translated(), tempfile.TemporaryFile(dir=self._incoming) as file:
            file.write(b"\0")

    def _remove_old_copies(self) -> None:
        limit = time.time() - _OLD_SECONDS
        for path in self._incoming.iterdir():
            try:
                if path.stat().st_mtime < limit:
                    path.unlink()
            except FileNotFoundError:  # another process cleans up as well
                continue


class OpenFile:
    """A file open for reading, closed when nobody refers to it any more."""

    def __init__(self, path: str | Path) -> None:
        self.number = -1
        self.number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.size = os.fstat(self.number).st_size

    def __del__(self) -> None:
        if self.number >= 0:
            os.close(self.number)

    def read_cached(self, span: Span) -> bytes:
        """As many bytes of `span` as can be had without waiting, perhaps none."""
        if _READ_NOW is None or span.length > INLINE_BYTES or not span.length:
            return b""
        buffer = bytearray(span.length)
        try:
            count = os.preadv(self.number, [buffer], span.offset, _READ_NOW)
        except OSError as error:
            if error.errno in _NOT_CACHED:
                return b""
            raise
        return bytes(memoryview(buffer)[:count])

    def read_fully(self, span: Span) -> bytes:
        """The bytes of `span`, waiting for the disk; fewer only where the file has none."""
        pieces: list[bytes] = []
        offset = span.offset
        while offset < span.end:
            piece = os.pread(self.number, span.end - offset, offset)
            if not piece:
                break
            pieces.append(piece)
            offset += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def _read(file: OpenFile, span: Span) -> bytes:
    with _errors_translated():
        data = file.read_cached(span)
        if len(data) < span.length:
            rest = Span(span.offset + len(data), span.length - len(data))
            data += await asyncio.to_thread(file.read_fully, rest)
    if len(data) < span.length:
        raise BlobMissing("A blob has become shorter while it was read.")
    return data


def _scan(folder: Path) -> list[tuple[Path, os.stat_result]]:
    """What is in `folder`; nothing if it is not there (any more)."""
    found = []
    try:
        with _errors_translated(str(folder)), os.scandir(folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # removed while being listed
                    found.append((Path(entry.path), entry.stat()))
    except BlobMissing:
        return []
    return found


def _size_of(path: str) -> int:
    """-1 if there is nothing; what cannot be told for another reason is taken to be whole."""
    try:
        return os.stat(path).st_size  # noqa: PTH116
    except FileNotFoundError:
        return -1
    except OSError:
        return sys.maxsize


def _link(source: str, target: Path) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        raise BlobExists from None


def _sync_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextmanager
def _errors_translated(key: str = "") -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        if key:
            raise BlobMissing(f"There is no blob {key}.") from None
        raise BlobsUnavailable("A folder of blobs has gone.") from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise BlobsFull from error
        raise BlobsUnavailable(f"The disk of blobs fails: {error.strerror}.") from error
