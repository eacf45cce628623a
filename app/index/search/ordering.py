"""The order of results: what it is made of, and what comes after a place in it.

Pages of one search fit together because the order is total, it ends with UIDs, and because a place
in it is told by values: what is stored meanwhile moves nobody to another page, unless it changes
such a value, as it does with the counts of a study or series.

    studies      newest first: date, time, then UID
    series       of the newest study first; within a study by number, then UID
    instances    as their series; within a series by number, then UID

A search may ask for another order, which then goes before this one. What has no value is ordered as
if it had one: texts as the empty one, so that studies without a date are the oldest, and numbers as
the largest. So two places can always be compared, and an index serves the order of studies.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    Text,
    and_,
    func,
    literal_column,
    or_,
    tuple_,
)
from sqlalchemy.types import TypeEngine

from app.dicom.attributes import ATTRIBUTES, Level
from app.dicom.query import Query
from app.errors import InvalidParameter
from app.index.statements import table
from app.index.tables import Instance, Series, Study

TABLES = {Level.STUDY: table(Study), Level.SERIES: table(Series), Level.INSTANCE: table(Instance)}
LEVELS = list(Level)
NEVER_NULL = frozenset({"study_date", "study_time"})
"""Columns that an index has without null, the empty text standing for it."""

Place = tuple[str | int, ...]
"""A value for each rank of an order."""

_LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Rank:
    """One thing that results are ordered by."""

    level: Level
    column: str
    descending: bool = False

    @property
    def is_number(self) -> bool:
        """Whether its values are numbers, and not texts."""
        return isinstance(TABLES[self.level].c[self.column].type, Integer)

    @property
    def value(self) -> ColumnElement[Any]:
        """The value that a row has for it."""
        column = TABLES[self.level].c[self.column]
        if self.column.endswith("_uid"):
            return column
        missing: ColumnElement[Any] = literal_column(str(_LARGEST) if self.is_number else "''")
        return func.coalesce(column, missing)

    @property
    def kind(self) -> TypeEngine[Any]:
        """The type of a parameter for such a value."""
        return BigInteger() if self.is_number else Text()


_OWN = {
    Level.STUDY: ("study_date", "study_time", "study_instance_uid"),
    Level.SERIES: ("series_number", "series_instance_uid"),
    Level.INSTANCE: ("instance_number", "sop_instance_uid"),
}
ORDERING = frozenset(
    tag
    for tag, attribute in ATTRIBUTES.items()
    if attribute.column is not None
    and isinstance(TABLES[attribute.level].c[attribute.column].type, Integer | Text)
)
"""The attributes that results can be ordered by."""


def indexed(rows: FromClause, column: str) -> ColumnElement[Any]:
    """The column of a table, in the form in which indexes have it."""
    return (
        func.coalesce(rows.c[column], literal_column("''"))
        if column in NEVER_NULL
        else rows.c[column]
    )


def order_of(query: Query) -> tuple[Rank, ...]:
    """What the results of a query are ordered by. What they all have in common is left out."""
    ranks = [
        Rank(ATTRIBUTES[by.tag].level, column, by.descending)
        for by in query.order
        if (column := ATTRIBUTES[by.tag].column) is not None
    ]
    # The rest follows the direction of what is asked for, so that an index can be read backwards.
    newest_first = ranks[-1].descending if ranks else True
    for level in LEVELS[: LEVELS.index(query.level) + 1]:
        if level is Level.STUDY and query.study_instance_uid is not None:
            continue
        if level is Level.SERIES and query.series_instance_uid is not None:
            continue
        ranks += [
            Rank(level, column, newest_first if level is Level.STUDY else False)
            for column in _OWN[level]
            if column not in {rank.column for rank in ranks}
        ]
    return tuple(ranks)


def checked(place: Place, order: Sequence[Rank]) -> Place:
    """The place, if it is one in this order. Raises `InvalidParameter`."""
    if len(place) != len(order) or not all(map(_fits, order, place)):
        raise InvalidParameter("after", str(place), "it is no place in the order of this search")
    return place


def _fits(rank: Rank, value: str | int) -> bool:
    if rank.is_number:
        return isinstance(value, int) and -_LARGEST - 1 <= value <= _LARGEST
    return isinstance(value, str)


def ordered(order: Sequence[Rank]) -> list[ColumnElement[Any]]:
    """What to give to ORDER BY."""
    return [rank.value.desc() if rank.descending else rank.value.asc() for rank in order]


def comes_after(
    order: Sequence[Rank],
    bind: Callable[[int, TypeEngine[Any]], ColumnElement[Any]],
    *,
    or_is_there: bool = False,
) -> ColumnElement[bool]:
    """The condition on a row that comes after a place; `bind` gives the n-th value of that.

    With `or_is_there` it is also true of a row at the place. Ranks of one direction are compared as
    one row, which an index with these columns can begin at.
    """
    numbered = list(enumerate(order))
    runs = [list(run) for _, run in groupby(numbered, key=lambda each: each[1].descending)]
    condition: ColumnElement[bool] | None = None
    for run in reversed(runs):
        row = tuple_(*(rank.value for _, rank in run))
        place = tuple_(*(bind(number, rank.kind) for number, rank in run))
        descending = run[0][1].descending
        beyond = row < place if descending else row > place
        here_or_beyond = row <= place if descending else row >= place
        if condition is None:
            condition = here_or_beyond if or_is_there else beyond
        else:
            condition = and_(here_or_beyond, or_(beyond, condition))
    assert condition is not None
    return condition
