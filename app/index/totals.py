"""`Totals`: how many rows match a search, remembered for as long as nothing has been written.

To count is the dear part of showing one page out of many, and while nobody stores, the count stays
the same. Whether anybody has is told by `CHANGE_ORDER`: every transaction that changes what a
search can see takes a number from it, after it has begun to write (see `app.index.instances`).

- `latest` is the last number taken, by whoever, committed or not. A search reads it with its page.
- A count is kept under that number only if no transaction that had begun before ours did was still
  running when we counted. Whoever had taken a number by then had therefore ended, and was counted
  if committed.
- As long as the last number is the same, nobody else has come, and the count is right.

While somebody stores all the time, to count many thousands for every page would cost more than all
the rest. So a large total is taken for as long as twenty times what it took to count: it may be
that much behind, and never costs more than a twentieth of the time. Small ones are always right.

A standby server sees numbers late and transactions have none there, so it counts each time.
"""

import time
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, case, cast, column, func, null, select
from sqlalchemy import table as named

from app.index.planning import planned
from app.index.restriction import Restriction
from app.index.statements import RESTRICTION, Connection, Prepared, prepare
from app.index.tables import CHANGE_ORDER

_MOST = 1024
"""Totals that are remembered; the least recently used one goes first."""

LARGE = 1000
"""A total that may be a little behind: nobody turns so many pages one by one."""
REUSE = 20

LATEST = select(column("last_value")).select_from(named(CHANGE_ORDER.name)).scalar_subquery()
"""The last number taken, as a column for the statement that reads a page."""


def _number(value: ColumnElement[Any]) -> ColumnElement[int]:
    return cast(cast(value, Text), BigInteger)


OLDEST = _number(func.pg_snapshot_xmin(func.pg_current_snapshot()))
"""The oldest transaction still running, as a column for the statement that counts."""

_OURS = prepare(
    select(case((func.pg_is_in_recovery(), null()), else_=_number(func.pg_current_xact_id())))
)


@dataclass(frozen=True, slots=True)
class _Counted:
    total: int
    latest: int | None
    """The number under which it is right; None if others were at work when it was counted."""
    at: float
    seconds: float
    """How long it took, and since when it is known."""

    def will_do(self, now: float) -> bool:
        """Whether it is taken even if something has been written since."""
        return self.total >= LARGE and now - self.at < REUSE * self.seconds


class Totals:
    """The totals that one process remembers of one database."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, _Counted] = OrderedDict()
        self._being_counted: set[Hashable] = set()

    async def of(
        self,
        search: Hashable,
        latest: int,
        count: Prepared,
        connection: Connection,
        *,
        kept: bool = True,
        **values: Any,
    ) -> int:
        """How many match: remembered, or else counted by a statement that gives it with `OLDEST`.

        `search` is everything that decides about the total, and `latest` was read before this. What
        is visible by grants that end by themselves is counted each time. `kept`: whether one plan
        to count is right whatever the values are.
        """
        restriction: Restriction | None = values.get(RESTRICTION)
        if restriction is not None and not restriction.steady:
            async with planned(connection, kept=kept):
                return int((await count.fetchrow(connection, **values))[0])
        known = self._known.get(search)
        if known is not None and self._is_taken(search, known, latest):
            self._known.move_to_end(search)
            return known.total
        self._being_counted.add(search)
        try:
            async with planned(connection, kept=kept):
                counted = await _count(connection, latest, count, values)
        finally:
            self._being_counted.discard(search)
        self._keep(search, counted)
        return counted.total

    def exceed(self, search: Hashable, few: int) -> bool:
        """Whether more than so many matched when they were counted last."""
        known = self._known.get(search)
        return known is not None and known.total > few

    def note(self, search: Hashable, total: int) -> None:
        """A total that was found out otherwise, for `exceed`; it is never taken for exact."""
        self._keep(search, _Counted(total, None, time.monotonic(), 0))

    def _is_taken(self, search: Hashable, known: _Counted, latest: int) -> bool:
        if known.latest == latest or known.will_do(time.monotonic()):
            return True
        return known.total >= LARGE and search in self._being_counted

    def _keep(self, search: Hashable, counted: _Counted) -> None:
        self._known[search] = counted
        self._known.move_to_end(search)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)


async def _count(
    connection: Connection, latest: int, count: Prepared, values: dict[str, Any]
) -> _Counted:
    begin = time.monotonic()
    # By itself this is a transaction that has ended when we count; or else it is the one around us.
    ours = await _OURS.fetchval(connection)
    total, oldest = await count.fetchrow(connection, **values)
    end = time.monotonic()
    settled = ours is not None and oldest >= ours
    return _Counted(int(total), latest if settled else None, end, end - begin)
