"""The log of changes: what happened to instances, in one order that readers can follow.

The order is that of the transactions, and within one that of `sequence`. A reader is given nothing
of a transaction before every older one has ended, so nothing can appear any more before what has
been read, and who goes on from the last entry read misses none.

Transactions are numbered by the server: after a dump has been restored into another one, followers
begin anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, bindparam, cast, func, select, tuple_
from sqlalchemy.types import Text

from app.index.statements import Connection, prepare, prepare_insert, rows_into, table
from app.index.tables import Change
from app.index.visibility import Visibility, visible


class Action(StrEnum):
    """What happened to an instance."""

    CREATED = "created"
    REPLACED = "replaced"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class NewChange:
    """An entry to be written, by whoever has written what it tells in the same transaction."""

    sequence: int
    """Taken from `app.index.tables.CHANGE_ORDER` by an earlier statement of the transaction."""
    action: Action
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    version: int


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where an entry stands in the log."""

    transaction_id: int
    sequence: int


BEGINNING = Place(0, 0)


@dataclass(frozen=True, slots=True)
class StoredChange:
    """An entry of the log."""

    place: Place
    at: datetime
    action: Action
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    version: int


WRITTEN = (
    "sequence",
    "partition_id",
    "action",
    "study_instance_uid",
    "series_instance_uid",
    "sop_instance_uid",
    "version",
)
_WRITE = prepare_insert(rows_into(Change, *WRITTEN))


async def write(connection: Connection, partition_id: int, entries: Sequence[NewChange]) -> None:
    """Write entries into the log of a partition."""
    rows = [
        {name: getattr(entry, name) for name in WRITTEN if name != "partition_id"}
        | {"partition_id": partition_id}
        for entry in entries
    ]
    await _WRITE.insert(connection, rows)


_CHANGE = table(Change).c
_OLDEST_RUNNING = cast(
    cast(func.pg_snapshot_xmin(func.pg_current_snapshot()), Text()), BigInteger()
)
_READ = prepare(
    select(
        _CHANGE.transaction_id,
        _CHANGE.sequence,
        _CHANGE.at,
        _CHANGE.action,
        _CHANGE.study_instance_uid,
        _CHANGE.series_instance_uid,
        _CHANGE.sop_instance_uid,
        _CHANGE.version,
    )
    .where(
        visible(Change),
        tuple_(_CHANGE.transaction_id, _CHANGE.sequence)
        > tuple_(
            bindparam("after_transaction", type_=BigInteger()),
            bindparam("after_sequence", type_=BigInteger()),
        ),
        _CHANGE.transaction_id < _OLDEST_RUNNING,
    )
    .order_by(_CHANGE.transaction_id, _CHANGE.sequence)
    .limit(bindparam("limit", type_=BigInteger()))
)


async def read(
    connection: Connection, visibility: Visibility, *, after: Place = BEGINNING, limit: int
) -> list[StoredChange]:
    """Up to `limit` entries behind a place in the log, oldest first.

    Every entry is read exactly once by whoever goes on from the place of the last one read.
    """
    rows = await _READ.fetch(
        connection,
        **visibility.parameters,
        after_transaction=after.transaction_id,
        after_sequence=after.sequence,
        limit=limit,
    )
    return [
        StoredChange(Place(transaction_id, sequence), at, Action(action), *rest)
        for transaction_id, sequence, at, action, *rest in rows
    ]
