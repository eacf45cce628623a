"""The log of changes: what happened to instances, in one order that readers can follow.

`sequence` gives the order. It is given out before the transaction that takes it commits, so entries
do not become visible in their order: a reader who took whatever is there could go past an entry
that is still to come. What tells is the `horizon`, the first transaction that had not begun to
write when `sequence` was given out. Whoever took a smaller one had begun before that, so once all
transactions before the horizon have ended, nothing can appear any more before the entry.

When a dump is restored into another server, transactions are numbered from the beginning again, and
a horizon may lie beyond all of them. Nobody writes to such an old place of the log; it is settled.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import takewhile
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, bindparam, cast, func, or_, select
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


@dataclass(frozen=True, slots=True)
class StoredChange:
    """An entry of the log."""

    sequence: int
    at: datetime
    action: Action
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    version: int


_WRITTEN = (
    "sequence",
    "partition_id",
    "action",
    "study_instance_uid",
    "series_instance_uid",
    "sop_instance_uid",
    "version",
)
_WRITE = prepare_insert(rows_into(Change, *_WRITTEN))


async def write(connection: Connection, partition_id: int, entries: Sequence[NewChange]) -> None:
    """Write entries into the log of a partition."""
    rows = [
        {name: getattr(entry, name) for name in _WRITTEN if name != "partition_id"}
        | {"partition_id": partition_id}
        for entry in entries
    ]
    await _WRITE.insert(connection, rows)


def _number(transaction: ColumnElement[Any]) -> ColumnElement[int]:
    return cast(cast(transaction, Text()), BigInteger())


_NOW = func.pg_current_snapshot()
_CHANGE = table(Change).c
_READ = prepare(
    select(
        or_(
            _CHANGE.horizon <= _number(func.pg_snapshot_xmin(_NOW)),
            _CHANGE.horizon > _number(func.pg_snapshot_xmax(_NOW)),
        ).label("settled"),
        _CHANGE.sequence,
        _CHANGE.at,
        _CHANGE.action,
        _CHANGE.study_instance_uid,
        _CHANGE.series_instance_uid,
        _CHANGE.sop_instance_uid,
        _CHANGE.version,
    )
    .where(visible(Change), _CHANGE.sequence > bindparam("after", type_=BigInteger()))
    .order_by(_CHANGE.sequence)
    .limit(bindparam("limit", type_=BigInteger()))
)


async def read(
    connection: Connection, visibility: Visibility, *, after: int, limit: int
) -> list[StoredChange]:
    """Up to `limit` entries behind the one with the sequence `after` (0: from the beginning).

    Every entry is read exactly once by whoever goes on from the last one read. Entries that are
    not settled yet are left for later, with all that follow.
    """
    rows = await _READ.fetch(connection, **visibility.parameters, after=after, limit=limit)
    return [
        StoredChange(sequence, at, Action(action), *rest)
        for _, sequence, at, action, *rest in takewhile(lambda row: row["settled"], rows)
    ]
