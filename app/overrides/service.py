"""Opening and ending an emergency override, in one transaction with the record that tells of it.

So there is never one without the other, whatever is killed in between; and since what is alerted of
is read from the audit, nobody opens anything unnoticed either.
"""

from collections.abc import Awaitable, Callable

from app.access import overrides
from app.access.overrides import Asked
from app.access.principal import Principal
from app.archive import Archive
from app.audit.event import AuditEvent, Note
from app.audit.overrides import STARTED, STOPPED, note_override
from app.audit.trail import append
from app.index.database import Connection
from app.index.overrides import StoredOverride

Recorded = Callable[[], AuditEvent]
"""Makes the record of the request, of what its note says by then."""


async def open_override(
    archive: Archive, caller: Principal, asked: Asked, note: Note, record: Recorded
) -> StoredOverride:
    """Open an override. Raises as `app.access.overrides.open_override`."""

    async def change(connection: Connection) -> StoredOverride:
        return await overrides.open_override(connection, caller, asked, archive.settings.emergency)

    return await _recorded(archive, note, record, STARTED, change)


async def end_override(
    archive: Archive, caller: Principal, override_id: int, note: Note, record: Recorded
) -> StoredOverride:
    """End an override of the caller, or anybody's for administrators. Raises `NotFound`."""

    async def change(connection: Connection) -> StoredOverride:
        return await overrides.end_override(
            connection, caller.partition_id, override_id, caller.whose
        )

    return await _recorded(archive, note, record, STOPPED, change)


async def _recorded(
    archive: Archive,
    note: Note,
    record: Recorded,
    subtype: str,
    change: Callable[[Connection], Awaitable[StoredOverride]],
) -> StoredOverride:
    async def work(connection: Connection) -> tuple[StoredOverride, int]:
        done = await change(connection)
        note_override(note, subtype, done)
        event = record()
        await append(connection, [event])
        return done, event.status

    done, note.recorded_as = await archive.transact(work)
    return done
