"""The hash of bytes at rest, made of a piece at a time."""

import hashlib

from app.blobs.contract import BlobStore
from app.span import Span


async def sha256_of(blobs: BlobStore, key: str, span: Span) -> bytes:
    """The SHA-256 of a span of a blob. Raises `BlobMissing` if not all of it is there."""
    digest = hashlib.sha256()
    async for piece in blobs.stream(key, span):
        digest.update(piece)
    return digest.digest()
