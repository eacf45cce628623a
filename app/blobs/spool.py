"""`Spool`: bytes on their way in. Written once, hashed as they come, read at any place after.

Rules:
- Bytes stay in memory up to a threshold; beyond it they are in a file, and memory stays flat.
- SHA-256 and CRC-32 are taken while writing to the file, so that nothing is read from a disk twice,
  and of bytes in memory when they are asked for; not of what is made for a moment.
- The file has a name, so that a store of blobs on the same file system can link it instead of
  copying it. Closing takes the name away; what was linked stays.
- A thread may still be writing when the request that it works for is given up. Closing waits for
  that one write, and the next one is refused, so that nothing is left behind.
- Files that a crash left behind are removed when the program starts, once they are old.
"""

import errno
import hashlib
import os
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from app.blobs.contract import BlobsFull
from app.faults import Point, reach
from app.fingerprint import Fingerprint, crc32

OLD_SECONDS = 24 * 60 * 60
"""Age at which a file that nobody removed was left by a crash: no request runs that long."""

_PREFIX = "spool-"


def spool_directory(data_dir: Path) -> Path:
    """Where spooled files lie; beside the default folder of blobs, so that they can be linked."""
    return data_dir / "spool"


def remove_old_files(directory: Path, *, older_than: float = OLD_SECONDS) -> int:
    """Remove what a crash left in `directory`; returns how many files that were."""
    limit = time.time() - older_than
    removed = 0
    for path in directory.glob(f"{_PREFIX}*"):
        try:
            if path.stat().st_mtime < limit:
                path.unlink()
                removed += 1
        except FileNotFoundError:  # another process cleans up as well
            continue
    return removed


class Spool:
    """A run of bytes that is being written. Also a `Source` for readers and an `Upload` for stores.

    Writing blocks for as long as the disk takes: past the threshold call `write` in a thread.
    """

    def __init__(self, memory_bytes: int, directory: Path, *, hashed: bool = True) -> None:
        """`hashed`: whether anybody will ask for `sha256` or `fingerprint`."""
        self._memory_bytes = memory_bytes
        self._directory = directory
        self._pieces: list[bytes] = []
        self._file: int | None = None
        self._path: str | None = None
        self._size = 0
        self._hash = hashlib.sha256() if hashed else None
        self._crc32 = 0
        self._hashed = 0
        self._writing = threading.Lock()
        self._closed = False

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append `data` and return its length.

        Raises `BlobsFull` when the disk has no space, and `ValueError` when the spool is closed.
        """
        length = len(data)
        with self._writing:
            if self._closed:
                raise ValueError("the spool is closed")
            if self._file is None and not self.has_memory_for(length):
                self._move_to_disk()
            if self._file is None:
                self._pieces.append(bytes(data))
            else:
                self._take_hashes(data)
                _write_all(self._file, data)
            self._size += length
        return length

    def has_memory_for(self, length: int) -> bool:
        """Whether so many more bytes stay in memory, so that writing them does not block."""
        return self._file is None and self._size + length <= self._memory_bytes

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._size

    @property
    def sha256(self) -> bytes:
        """The SHA-256 of the bytes written so far, 32 bytes; of a spool that is hashed."""
        assert self._hash is not None
        self._take_hashes_of_memory()
        return self._hash.digest()

    @property
    def fingerprint(self) -> Fingerprint:
        """Of the bytes written so far; of a spool that is hashed."""
        sha256 = self.sha256  # by which both are taken
        return Fingerprint(sha256, self._crc32)

    @property
    def path(self) -> str | None:
        """The file that holds the bytes, or None while they are in memory."""
        return self._path

    def read_at(self, offset: int, length: int) -> bytes:
        """The bytes from `offset` on, `length` of them or as many as there are."""
        if self._file is None:
            if len(self._pieces) > 1:
                self._pieces = [b"".join(self._pieces)]
            return self._pieces[0][offset : offset + length] if self._pieces else b""
        return os.pread(self._file, max(0, min(length, self._size - offset)), offset)

    def beside(self, *, hashed: bool = False) -> "Spool":
        """A new spool for what is made of these bytes."""
        return Spool(self._memory_bytes, self._directory, hashed=hashed)

    def take_over(self, other: "Spool") -> None:
        """Hold the bytes of another spool instead of one's own; the other one then has none."""
        self._let_go()
        self._pieces, self._size = other._pieces, other._size
        self._hash, self._crc32, self._hashed = other._hash, other._crc32, other._hashed
        self._file, self._path = other._file, other._path
        other._pieces, other._size, other._file, other._path = [], 0, None, None

    def close(self) -> None:
        """Let go of the bytes, and take no more. A second call does nothing."""
        with self._writing:
            self._closed = True
            self._let_go()

    def _let_go(self) -> None:
        self._pieces = []
        self._size = 0
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if self._path is not None:
            Path(self._path).unlink(missing_ok=True)
            self._path = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _take_hashes(self, data: bytes | bytearray | memoryview) -> None:
        if self._hash is not None:
            self._hash.update(data)
            self._crc32 = crc32(data, self._crc32)
            self._hashed += len(data)

    def _take_hashes_of_memory(self) -> None:
        if self._file is None and self._hashed < self._size:
            self._take_hashes(self.read_at(self._hashed, self._size))

    def _move_to_disk(self) -> None:
        self._take_hashes_of_memory()
        try:
            self._file, self._path = tempfile.mkstemp(prefix=_PREFIX, dir=self._directory)
        except OSError as error:
            raise _translated(error) from error
        for piece in self._pieces:
            _write_all(self._file, piece)
        self._pieces = []


def _write_all(file: int, data: bytes | bytearray | memoryview) -> None:
    rest = memoryview(data)
    try:
        reach(Point.ON_DISK)
        while rest:
            rest = rest[os.write(file, rest) :]
    except OSError as error:
        raise _translated(error) from error


def _translated(error: OSError) -> Exception:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return BlobsFull("There is no space left to receive into.")
    return error
