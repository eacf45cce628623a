"""What every store of blobs promises. A blob is a run of bytes at rest, known by its key alone.

Keys are ASCII, made of `[A-Za-z0-9/_-]`, random, and written once: a key is never used again, so a
blob never changes and needs no cache invalidation. Blobs know nothing of DICOM.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from app.errors import ArchiveError, Unavailable
from app.span import Span

CHUNK = 1024 * 1024
"""Bytes that are read at once."""

PIECE = 256 * 1024
"""Bytes of one piece of a stream: large enough that the event loop is not the limit, and no larger,
since four of them wait where an answer is not being taken."""


class BlobExists(ArchiveError):
    """A blob with this key exists already."""


class BlobMissing(ArchiveError):
    """There is no blob with this key."""


class BlobsUnavailable(Unavailable):
    """The store of blobs does not answer."""


class BlobsFull(BlobsUnavailable):
    """The store of blobs has no space left."""


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """What a listing tells of one blob: its key, its length in bytes, when it was written."""

    key: str
    length: int
    written_at: datetime


class Upload(Protocol):
    """Bytes that are on their way in, readable before they are put; see `app.blobs.spool.Spool`."""

    @property
    def size(self) -> int: ...

    def read_at(self, offset: int, length: int) -> bytes: ...

    @property
    def path(self) -> str | None:
        """The file that holds the bytes, or None while they are in memory."""
        ...


class BlobStore(Protocol):
    """Where blobs are kept. Every backend passes the one suite in tests/contracts."""

    async def put(self, key: str, upload: Upload) -> None:
        """Keep the bytes of `upload` under `key`; when this returns they are on stable storage.

        Create-only and atomic: raises `BlobExists` and changes nothing if the key is taken, and a
        reader sees the whole blob or none. Raises `BlobsFull`, `BlobsUnavailable`.
        """
        ...

    async def read(self, key: str, span: Span) -> bytes:
        """The bytes of `span`, in memory; meant for frames and other small pieces.

        Raises `BlobMissing`, also when the span reaches beyond the end, and `BlobsUnavailable`.
        """
        ...

    def stream(self, key: str, span: Span) -> AsyncIterator[bytes]:
        """The bytes of `span` in pieces of at most `PIECE`, read as they are asked for.

        Raises as `read` does, at the first piece if the blob is missing; a stream that ends early
        raises instead of ending as if it were whole.
        """
        ...

    async def size(self, key: str) -> int:
        """The length of the blob in bytes. Raises `BlobMissing`."""
        ...

    async def lost(self, lengths: Mapping[str, int]) -> frozenset[str]:
        """The keys under which there is no blob, or one that is shorter than it has to be.

        As far as that can be told without asking a server for each: of others it shows when they
        are read.
        """
        ...

    async def delete(self, key: str) -> None:
        """Remove the blob; no error if it is not there."""
        ...

    def list(self, prefix: str = "") -> AsyncIterator[BlobInfo]:
        """Every blob whose key starts with `prefix`, in no promised order."""
        ...

    async def check(self) -> None:
        """Return if the store answers; raises `BlobsUnavailable` else."""
        ...

    async def close(self) -> None:
        """Let go of everything held open."""
        ...
