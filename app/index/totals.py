"""`Totals`: how many rows match a search, remembered for as long as nothing has been written.

To count is the dear part of showing one page out of many, and while nobody stores, the count stays
the same. Whether anybody has is told by `CHANGE_ORDER`: every transaction that changes what a
search can see takes a number from it, after it has begun to write (see `app.index.instances`).

- `latest` is the last number taken, by whoever, committed or not. A search reads it with its page.
- A count is kept under that number only if `settled`: no transaction that had begun before ours did
  was still running when we counted. Whoever had taken a number by then had therefore ended, and was
  counted if committed.
- As long as the last number is the same, nobody else has come, and the count is right.

A standby server sees numbers late and transactions have none there, so it counts each time.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, case, cast, column, func, null, select
from sqlalchemy import table as named

from app.index.restriction import Restriction
from app.index.statements import RESTRICTION, Connection, Prepared, prepare
from app.index.tables import CHANGE_ORDER

_MOST = 1024
"""Totals that are remembered; the least recently used one goes first."""

LATEST = select(column("last_value")).select_from(named(CHANGE_ORDER.name)).scalar_subquery()
"""The last number taken, as a column for the statement that reads a page."""


def _number(value: ColumnElement[Any]) -> ColumnElement[int]:
    return cast(cast(value, Text), BigInteger)


OLDEST = _number(func.pg_snapshot_xmin(func.pg_current_snapshot()))
"""The oldest transaction still running, as a column for the statement that counts."""

_OURS = prepare(
    select(case((func.pg_is_in_recovery(), null()), else_=_number(func.pg_current_xact_id())))
)


class Totals:
    """The totals that one process remembers of one database."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, tuple[int, int]] = OrderedDict()

    async def of(
        self, search: Hashable, latest: int, count: Prepared, connection: Connection, **values: Any
    ) -> int:
        """How many match: remembered, or else counted by a statement that gives it with `OLDEST`.

        `search` is everything that decides about the total, and `latest` was read before this. What
        is visible by grants that end by themselves is counted each time.
        """
        restriction: Restriction | None = values.get(RESTRICTION)
        if restriction is not None and not restriction.steady:
            return int((await count.fetchrow(connection, **values))[0])
        known = self._known.get(search)
        if known is not None and known[0] == latest:
            self._known.move_to_end(search)
            return known[1]
        async with connection.transaction():
            ours = await _OURS.fetchval(connection)
            total, oldest = await count.fetchrow(connection, **values)
        if oldest == ours:
            self._keep(search, latest, total)
        return int(total)

    def _keep(self, search: Hashable, latest: int, total: int) -> None:
        self._known[search] = latest, total
        self._known.move_to_end(search)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
