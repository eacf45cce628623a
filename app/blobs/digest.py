"""The hash of bytes at rest, made of a piece at a time."""

import hashlib

from app.blobs.contract import BlobStore, BlobsUnavailable
from app.span import Span


async def sha256_of(blobs: BlobStore, key: str, span: Span) -> bytes | None:
    """The SHA-256 of a span of a blob; None if it cannot be read, as where a disk has a bad sector.

    Raises `BlobMissing` if not all of it is there, `BlobsUnavailable` if the store does not answer.
    """
    digest = hashlib.sha256()
    try:
        async for piece in blobs.stream(key, span):
            digest.update(piece)
    except BlobsUnavailable:
        await blobs.check()
        return None
    return digest.digest()
