"""What the index of terms does not know yet."""

from dataclasses import dataclass

from sqlalchemy import BigInteger, bindparam, collate, func, literal_column, select, tuple_

from app.index.statements import Connection, prepare, table
from app.index.tables import Change, Series, Study
from app.index.term_tables import Indexed
from app.index.visibility import Visibility, visible

_STUDY, _SERIES, _CHANGE, _INDEXED = (table(m).c for m in (Study, Series, Change, Indexed))


def place(column: str) -> object:
    """Where the log of the changes' partition has been followed to; 0 if nowhere."""
    reached = (
        select(_INDEXED[column])
        .where(_INDEXED.partition_id == bindparam("visible_partition"))
        .scalar_subquery()
    )
    return func.coalesce(reached, literal_column("0"))


BEHIND = tuple_(_CHANGE.transaction_id, _CHANGE.sequence) > tuple_(
    place("transaction_id"), place("sequence")
)
"""True of the changes of a partition that have not been followed yet."""

_CHANGED = (
    select(_CHANGE.study_instance_uid, _CHANGE.series_instance_uid)
    .where(visible(Change), BEHIND)
    .limit(bindparam("most", type_=BigInteger()))
    .subquery("changed")
)
_UNINDEXED = prepare(
    select(_STUDY.id, _SERIES.id.label("series_id"))
    .distinct()
    .select_from(_CHANGED)
    .join(table(Study), _STUDY.study_instance_uid == collate(_CHANGED.c.study_instance_uid, "C"))
    .join(
        table(Series),
        (_SERIES.study_id == _STUDY.id)
        & (_SERIES.series_instance_uid == collate(_CHANGED.c.series_instance_uid, "C")),
    )
    .where(visible(Study), visible(Series))
)
_HOW_MANY = prepare(
    select(func.count()).select_from(
        select(literal_column("1"))
        .select_from(table(Change))
        .where(visible(Change), BEHIND)
        .limit(bindparam("most", type_=BigInteger()))
        .subquery("changed")
    )
)


@dataclass(frozen=True, slots=True)
class Unindexed:
    """Ids of the studies and series that have been changed since."""

    studies: frozenset[int]
    series: frozenset[int]


async def unindexed(
    connection: Connection, visibility: Visibility, *, most: int
) -> Unindexed | None:
    """What the index does not know yet; None if that is more than `most` changes."""
    values = visibility.parameters
    number = await _HOW_MANY.fetchval(connection, **values, most=most + 1)
    if number > most:
        return None
    if not number:
        return Unindexed(frozenset(), frozenset())
    rows = await _UNINDEXED.fetch(connection, **values, most=most)
    return Unindexed(frozenset(row[0] for row in rows), frozenset(row[1] for row in rows))
