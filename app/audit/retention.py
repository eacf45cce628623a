"""`retain`: remove records that are older than they have to be kept, and leave a checkpoint.

What is to be removed is verified first: nobody gets rid of the traces of tampering that way. The
last record of a chain always stays. That older ones are removed is recorded behind it, together
with the checkpoint that lets them go; they go after that, those that are left over the next time.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from joserfc.jwk import OKPKey

from app.audit.changes import described
from app.audit.checkpoint import RETENTION, Checkpoint, moment
from app.audit.event import Action, AuditEvent, EventId
from app.audit.trail import append
from app.audit.unasked import unasked
from app.audit.verify import LEFT_OVER, verify
from app.errors import ArchiveError
from app.index import retention
from app.index.database import Connection


class Damaged(ArchiveError):
    """The audit is damaged, so nothing of it is removed: `hilum audit verify` tells where."""


@dataclass(frozen=True, slots=True)
class Removed:
    """How many records of a chain were removed, and the checkpoint that stands for them."""

    records: int
    signed: str


async def retain(connection: Connection, before: datetime, key: OKPKey, by: str) -> list[Removed]:
    """Remove what is older, and what a removal that was broken off has left. Raises `Damaged`.

    `by`: who does so, for the record. The connection is in no transaction, and its role may remove
    records, which that of a serving archive may not.
    """
    async with retention.removing(connection):
        damages = (await verify(connection, (), key)).damages
        if any(damage.what != LEFT_OVER for damage in damages):
            raise Damaged
        left = list((await retention.retentions(connection)).values())
        removed = [Removed(await retention.remove(connection, one), one.signed) for one in left]
        for last in await retention.expired(connection, before):
            now = moment(datetime.now(UTC))
            checkpoint = Checkpoint(last.partition_id, last.sequence, last.hash, now, RETENTION)
            signed = checkpoint.signed(key)
            row = retention.Retention(last.partition_id, last.sequence, last.hash, signed)
            async with connection.transaction():
                await retention.leave(connection, row)
                await append(connection, [_record(row, before, by)])
            removed.append(Removed(await retention.remove(connection, row), signed))
        return [one for one in removed if one.records]


def _record(removed: retention.Retention, before: datetime, by: str) -> AuditEvent:
    return unasked(
        EventId.SECURITY_ALERT,
        Action.DELETE,
        by=by,
        partition_id=removed.partition_id,
        method="RETAIN",
        path="/audit",
        query=described(before=before, last=removed.sequence),
        study_instance_uid=None,
    )
