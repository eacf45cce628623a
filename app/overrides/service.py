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

    async def work(connection: Connection) -> StoredOverride:
        opened = await overrides.open_override(
            connection, caller, asked, archive.settings.emergency
        )
        note_override(note, STARTED, opened)
        await append(connection, [record()])
        return opened

    return await _recorded(archive, note, work)


async def end_override(
    archive: Archive, caller: Principal, override_id: int, note: Note, record: Recorded
) -> StoredOverride:
    """End an override of the caller, or anybody's for administrators. Raises `NotFound`."""

    async def work(connection: Connection) -> StoredOverride:
        ended = await overrides.end_override(
            connection, caller.partition_id, override_id, caller.whose
        )
        note_override(note, STOPPED, ended)
        await append(connection, [record()])
        return ended

    return await _recorded(archive, note, work)


async def _recorded(
    archive: Archive, note: Note, work: Callable[[Connection], Awaitable[StoredOverride]]
) -> StoredOverride:
    done = await archive.transact(work)
    note.recorded = True
    return done
