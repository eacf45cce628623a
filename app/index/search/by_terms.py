"""Keys without a column, as conditions on ids: what the index of terms knows of them.

A *decided* condition is true of exactly what matches. What the index does not know yet, and what it
has marked as not taken apart, is looked at here, as long as it is little. Any other condition is
true of everything that matches and of more; somebody has to look at each of these candidates.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Table,
    all_,
    and_,
    any_,
    bindparam,
    exists,
    func,
    literal_column,
    not_,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import SQLModel

from app.dicom.attributes import Level
from app.dicom.matcher import fits
from app.dicom.query import Key
from app.dicom.terms import Needs, needs
from app.index.search.matching import Bind, EqualsOne, Form, Parts
from app.index.statements import Connection, Prepared, any_of, prepare, table
from app.index.tables import InstanceTerms, Series, SeriesTerms, Study, StudyTerms
from app.index.terms import Unindexed
from app.index.visibility import Visibility, visible

MOST_IDS = 5_000
"""Found by terms, they are given to the search one by one; more are found while it goes on."""
MOST_LOOSE = 1_000
"""Studies or series that are looked at since the index does not know them."""
IN_THREAD_FROM = 50
"""So many of them hold up others for long."""

_IDS = ARRAY(BigInteger())
_TERMS = {
    Level.STUDY: table(StudyTerms),
    Level.SERIES: table(SeriesTerms),
    Level.INSTANCE: table(InstanceTerms),
}
_ID = {Level.STUDY: "id", Level.SERIES: "id", Level.INSTANCE: "series_id"}
"""The column of a level by which its rows have terms."""
_MODELS: dict[Level, type[SQLModel]] = {Level.STUDY: Study, Level.SERIES: Series}


@dataclass(frozen=True, slots=True)
class HasTerms(Form):
    """The terms of the row have one of each of so many sets; or else its id is one of those given.

    With `decided`, ids of another list are left out whatever their terms are.
    """

    level: Level
    sets: int
    none: bool
    decided: bool

    def condition(self, table: FromClause, bind: Bind) -> ColumnElement[bool]:
        id_, terms = table.c[self.column], _TERMS[self.level].c
        given = id_ == any_(bind(_IDS))
        conditions = [id_ != all_(bind(_IDS))] if self.decided else []
        found = exists(literal_column("1")).where(
            terms.id == id_, *_conditions(terms.terms, bind, self.sets, none=self.none)
        )
        return or_(given, and_(*conditions, found))


async def by_terms(
    connection: Connection,
    visibility: Visibility,
    level: Level,
    keys: Sequence[Key],
    unknown: Unindexed,
) -> tuple[Parts, bool]:
    """The condition on the rows of a level, and whether it decides."""
    needed = needs(keys)
    if needed.exact and level is not Level.INSTANCE:
        parts = await _decided(connection, visibility, level, needed, keys, unknown)
        if parts is not None:
            return parts, True
    widened = Needs(tuple(some | needed.marks for some in needed.some_of))
    fresh = _fresh(level, unknown)
    return await _condition(connection, visibility, level, widened, (fresh, None)), False


async def _decided(
    connection: Connection,
    visibility: Visibility,
    level: Level,
    needed: Needs,
    keys: Sequence[Key],
    unknown: Unindexed,
) -> Parts | None:
    """The condition on studies or series that have what is needed, which is exact.

    What the index does not know is looked at: whether it matches the keys. None if that is much.
    """
    marked = await _marked(connection, visibility, level, needed)
    loose = _fresh(level, unknown) | marked
    if len(loose) > MOST_LOOSE:
        return None
    fitting = await _fitting(connection, visibility, level, keys, loose)
    return await _condition(connection, visibility, level, needed, (fitting, loose))


def _fresh(level: Level, unknown: Unindexed) -> frozenset[int]:
    return unknown.studies if level is Level.STUDY else unknown.series


async def _condition(
    connection: Connection,
    visibility: Visibility,
    level: Level,
    needed: Needs,
    known: tuple[Collection[int], Collection[int] | None],
) -> Parts:
    """`known`: ids that are taken, and if it is decided, those that are left out else."""
    taken, left_out = known
    values = _values(needed)
    if needed.some_of:
        statement = _found(level, len(needed.some_of), bool(needed.none_of))
        named = {f"v{number}": value for number, value in enumerate(values)}
        found: list[int] = await statement.fetchval(
            connection, **visibility.parameters, **named, most=MOST_IDS
        )
        if len(found) < MOST_IDS:
            ids = set(found).difference(left_out or ()).union(taken)
            return EqualsOne(_ID[level]), [sorted(ids)]
    decided = left_out is not None
    form = HasTerms(_ID[level], level, len(needed.some_of), bool(needed.none_of), decided)
    return form, [list(taken), *([list(left_out)] if left_out is not None else []), *values]


def _values(needed: Needs) -> list[list[int]]:
    none = [list(needed.none_of)] if needed.none_of else []
    return [*(list(some) for some in needed.some_of), *none]


def _conditions(
    terms: ColumnElement[Any], bind: Bind, sets: int, *, none: bool
) -> list[ColumnElement[bool]]:
    conditions = [_overlaps(terms, bind(_IDS)) for _ in range(sets)]
    return [*conditions, not_(_overlaps(terms, bind(_IDS)))] if none else conditions


def _overlaps(terms: ColumnElement[Any], some: ColumnElement[Any]) -> ColumnElement[bool]:
    return terms.op("&&", is_comparison=True)(some)


def _of_partition(terms: Table) -> ColumnElement[bool]:
    return terms.c.partition_id == bindparam("visible_partition")


@lru_cache(64)
def _found(level: Level, sets: int, none: bool) -> Prepared:
    """The ids of what has such terms. Whether they may be seen is for the search to tell."""
    terms = _TERMS[level]
    numbers = iter(range(sets + 1))

    def bind(kind: Any) -> ColumnElement[Any]:
        return bindparam(f"v{next(numbers)}", type_=kind)

    return _ids_of(terms, _conditions(terms.c.terms, bind, sets, none=none))


def _ids_of(terms: Table, conditions: Sequence[ColumnElement[bool]]) -> Prepared:
    """A SELECT of the ids of which the conditions are true, `most` at most: one row, one array."""
    ids = select(terms.c.id).where(_of_partition(terms), *conditions)
    return prepare(
        select(func.array(ids.limit(bindparam("most", type_=BigInteger())).scalar_subquery()))
    )


_MARKED = {
    level: _ids_of(terms, [_overlaps(terms.c.terms, bindparam("marks", type_=_IDS))])
    for level, terms in _TERMS.items()
}


async def _marked(
    connection: Connection, visibility: Visibility, level: Level, needed: Needs
) -> frozenset[int]:
    found: list[int] = await _MARKED[level].fetchval(
        connection, **visibility.parameters, marks=list(needed.marks), most=MOST_LOOSE + 1
    )
    return frozenset(found)


_ATTRIBUTES = {
    level: prepare(
        select(table(model).c.id, table(model).c.attributes).where(
            visible(model), table(model).c.id == any_of("ids", BigInteger())
        )
    )
    for level, model in _MODELS.items()
}


async def _fitting(
    connection: Connection,
    visibility: Visibility,
    level: Level,
    keys: Sequence[Key],
    ids: Collection[int],
) -> frozenset[int]:
    """Those of the studies or series that match, as their attributes tell."""
    if not ids:
        return frozenset()
    rows: Sequence[Mapping[str, Any]] = await _ATTRIBUTES[level].fetch(
        connection, **visibility.parameters, ids=list(ids)
    )

    def fitting() -> frozenset[int]:
        return frozenset(row["id"] for row in rows if fits(keys, orjson.loads(row["attributes"])))

    return fitting() if len(rows) < IN_THREAD_FROM else await asyncio.to_thread(fitting)
