"""Are the blobs as they were stored, and does each belong to somebody?

A blob is known if its key belongs to an instance or is one of an upload that somebody has: from
before it was put until its instance is in the index. So a blob that is listed, and of which nobody
knows at a later moment, belongs to nobody, whatever is being stored meanwhile; unless it has just
been deleted, so it is looked for once more. Of what was given up nothing more is said.
"""

from collections.abc import AsyncIterator

from app.archive import Archive
from app.blobs.contract import BlobInfo, BlobMissing, BlobStore
from app.blobs.digest import sha256_of
from app.index import checking, mending
from app.index.checking import PAGE, CheckedInstance
from app.index.uploads import KeyParts, parts_of
from app.span import Span
from app.upkeep.findings import Fault, Finding, Found, Mend


async def check_blob(blobs: BlobStore, instance: CheckedInstance, *, read: bool) -> Finding | None:
    """What is wrong with the blob of an instance; `read`: its bytes too, a piece at a time."""
    span = Span(instance.blob_offset, instance.length)
    try:
        size = await blobs.size(instance.blob_key)
        if size != span.end:
            what = f"the blob has {size} bytes, {span.end} were stored"
            return Finding.of(Fault.BLOB_LENGTH, instance, what)
        if not read:
            return None
        sha256 = await sha256_of(blobs, instance.blob_key, span)
    except (BlobMissing, ValueError):  # there is none under what is no key
        return Finding.of(Fault.BLOB_MISSING, instance, "its blob is not there")
    if sha256 is None:
        return Finding.of(Fault.BLOB_CONTENT, instance, "its bytes cannot be read")
    if sha256 != instance.sha256:
        return Finding.of(Fault.BLOB_CONTENT, instance, "its bytes are not those that were stored")
    return None


async def unknown_blobs(archive: Archive, *, give_up: bool) -> AsyncIterator[Found]:
    """Blobs of which nobody knows; `give_up`: they can be left to the sweepers."""
    async for page in pages_of_unknown(archive):
        for blob in page:
            ours = parts_of(blob.key)
            partition = ours.partition_id if ours else 0
            what = f"{blob.length} bytes of {blob.written_at:%Y-%m-%d %H:%M} UTC that nobody knows"
            finding = Finding(Fault.BLOB_UNKNOWN, partition, what, blob_key=blob.key)
            yield finding, _giving_up(archive, ours) if ours and give_up else None


async def pages_of_unknown(archive: Archive, prefix: str = "") -> AsyncIterator[list[BlobInfo]]:
    """The same, of keys that begin with `prefix`, some at a time."""
    page: list[BlobInfo] = []
    async for blob in archive.blobs.list(prefix):
        page.append(blob)
        if len(page) == PAGE:
            yield await _unknown(archive, page)
            page = []
    yield await _unknown(archive, page)


async def _unknown(archive: Archive, page: list[BlobInfo]) -> list[BlobInfo]:
    async with archive.reading() as connection:
        owned = await checking.owned(connection, [blob.key for blob in page])
    return [
        blob for blob in page if blob.key not in owned and await _is_there(archive.blobs, blob.key)
    ]


async def _is_there(blobs: BlobStore, key: str) -> bool:
    try:
        await blobs.size(key)
    except BlobMissing:
        return False
    except ValueError:  # no key of ours: somebody has put something there
        return True
    return True


def _giving_up(archive: Archive, blob: KeyParts) -> Mend:
    async def mend() -> None:
        async with archive.writing() as connection:
            await mending.give_up(connection, blob)

    return mend
