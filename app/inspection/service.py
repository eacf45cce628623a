"""Looking into the audit of one's own partition."""

from dataclasses import replace

from app.archive import Archive
from app.errors import NotFound
from app.index import audit_search
from app.index.audit_search import Wanted
from app.index.audits import StoredRecord
from app.inspection.params import sequence_in


async def search_for_records(archive: Archive, wanted: Wanted) -> tuple[list[StoredRecord], bool]:
    """The records of a page, latest first, and whether there are more."""
    async with archive.reading() as connection:
        one_more = replace(wanted, limit=wanted.limit + 1)
        found = await audit_search.search(connection, one_more)
    return found[: wanted.limit], len(found) > wanted.limit


async def record_of(archive: Archive, partition_id: int, identity: str) -> StoredRecord:
    """The record with this id. Raises `NotFound`, also for one of another partition."""
    sequence = sequence_in(identity, partition_id)
    if sequence is not None:
        async with archive.reading() as connection:
            found = await audit_search.find(connection, partition_id, sequence)
        if found is not None:
            return found
    raise NotFound("There is no such record.")
