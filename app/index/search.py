"""Search: one SELECT for a page of what matches a query, and a count when there is more.

Order, so that the pages of one search fit together and an index can serve it:

    studies      newest first: date, time, then UID
    series       of the newest study first; within a study by number, then UID
    instances    as their series; within a series by number, then UID

Statements are compiled once for each shape that a search can have: its level, the forms of its
keys, and the parts that are wanted of each match.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import count
from typing import Any

import asyncpg
from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    FromClause,
    Select,
    bindparam,
    func,
    select,
)
from sqlalchemy.types import TypeEngine
from sqlmodel import SQLModel

from app.dicom.attributes import ATTRIBUTES, Level
from app.dicom.query import Query
from app.errors import TooLarge
from app.index.matching import Form, take_apart
from app.index.statements import Connection, Prepared, prepare, table
from app.index.tables import Instance, Series, Study
from app.index.totals import LATEST, OLDEST, Totals
from app.index.visibility import Visibility, visible


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is read of each match besides its UIDs."""

    levels: frozenset[Level]
    """The levels, at or above that of the search, of which everything is read but the metadata."""
    metadata: bool = False
    """Whether the whole DICOM JSON of an instance is read, which is much."""


@dataclass(frozen=True, slots=True)
class FoundStudy:
    """What is known of a study; `attributes` is the DICOM JSON that its first instance gave."""

    attributes: bytes
    modalities: list[str]
    sop_classes: list[str]
    number_of_series: int
    number_of_instances: int


@dataclass(frozen=True, slots=True)
class FoundSeries:
    """What is known of a series; `attributes` is the DICOM JSON that its first instance gave."""

    attributes: bytes
    number_of_instances: int


@dataclass(frozen=True, slots=True)
class FoundInstance:
    """What is known of an instance; `metadata_json` is its packed DICOM JSON, if wanted."""

    sop_class_uid: str
    transfer_syntax_uid: str
    instance_number: int | None
    number_of_frames: int | None
    rows: int | None
    columns: int | None
    bits_allocated: int | None
    metadata_json: bytes | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """One match: its UIDs down to the level of the search, and the parts that are wanted."""

    study_instance_uid: str
    series_instance_uid: str | None = None
    sop_instance_uid: str | None = None
    study: FoundStudy | None = None
    series: FoundSeries | None = None
    instance: FoundInstance | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """The matches from the offset on, up to the limit, and how many more come after them."""

    found: list[Found]
    remaining: int


async def search(
    connection: Connection, visibility: Visibility, query: Query, wanted: Wanted, totals: Totals
) -> Page:
    """The matches that may be seen. Every key's attribute must have a column.

    Raises `TooLarge` if it takes longer than a statement may.
    """
    shape, values = _take_apart(query, wanted)
    values |= visibility.parameters
    try:
        rows = await _page(shape).fetch(
            connection, **values, limit=query.limit + 1, offset=query.offset
        )
        remaining = 0
        if len(rows) > query.limit:
            counted = visibility, query.keys, query.study_instance_uid, query.series_instance_uid
            total = await totals.of(
                (query.level, *counted), rows[0][_LATEST], _total(shape), connection, **values
            )
            remaining = max(0, total - query.offset - query.limit)
    except asyncpg.QueryCanceledError as error:
        raise TooLarge("The search takes too long: narrow it down by more keys.") from error
    read = _reader(shape)
    return Page([read(row) for row in rows[: query.limit]], remaining)


@dataclass(frozen=True, slots=True)
class _Shape:
    """What decides about the text of the statements of a search."""

    level: Level
    wanted: Wanted
    in_study: bool
    in_series: bool
    forms: tuple[tuple[Level, Form], ...]

    @property
    def levels(self) -> list[Level]:
        """From the study down to what is searched for."""
        return _LEVELS[: _LEVELS.index(self.level) + 1]


def _take_apart(query: Query, wanted: Wanted) -> tuple[_Shape, dict[str, Any]]:
    forms: list[tuple[Level, Form]] = []
    values: list[Any] = []
    for key in sorted(query.keys, key=lambda key: key.tag):
        form, given = take_apart(key)
        forms.append((ATTRIBUTES[key.tag].level, form))
        values += given
    named = {f"v{number}": value for number, value in enumerate(values)}
    study, series = query.study_instance_uid, query.series_instance_uid
    if study is not None:
        named["study"] = study
    if series is not None:
        named["series"] = series
    return _Shape(query.level, wanted, study is not None, series is not None, tuple(forms)), named


_LEVELS = list(Level)
_MODELS: dict[Level, type[SQLModel]] = {
    Level.STUDY: Study,
    Level.SERIES: Series,
    Level.INSTANCE: Instance,
}
_TABLES = {level: table(model) for level, model in _MODELS.items()}
_STUDY, _SERIES, _INSTANCE = _TABLES.values()

_NEWEST_FIRST = (
    _STUDY.c.study_date.desc().nulls_last(),
    _STUDY.c.study_time.desc().nulls_last(),
    _STUDY.c.study_instance_uid,
)
_WITHIN_STUDY = (_SERIES.c.series_number, _SERIES.c.series_instance_uid)
_WITHIN_SERIES = (_INSTANCE.c.instance_number, _INSTANCE.c.sop_instance_uid)
_UIDS = {
    Level.STUDY: _STUDY.c.study_instance_uid,
    Level.SERIES: _SERIES.c.series_instance_uid,
    Level.INSTANCE: _INSTANCE.c.sop_instance_uid,
}
_PARTS: dict[Level, type[FoundStudy | FoundSeries | FoundInstance]] = {
    Level.STUDY: FoundStudy,
    Level.SERIES: FoundSeries,
    Level.INSTANCE: FoundInstance,
}
_METADATA = "metadata_json"
_LATEST = "latest"
_SHAPES = 512


@lru_cache(_SHAPES)
def _page(shape: _Shape) -> Prepared:
    columns: list[ColumnElement[Any]] = [_UIDS[level] for level in shape.levels]
    for level, names in _parts(shape):
        columns += [_TABLES[level].c[name] for name in names]
    columns.append(LATEST.label(_LATEST))
    return prepare(
        _matching(shape, set(shape.levels), columns)
        .order_by(*_order(shape))
        .limit(bindparam("limit", type_=BigInteger()))
        .offset(bindparam("offset", type_=BigInteger()))
    )


@lru_cache(_SHAPES)
def _total(shape: _Shape) -> Prepared:
    """Leaves out tables that make no difference to the count."""
    levels = {shape.level, *(level for level, _ in shape.forms)}
    levels |= {Level.STUDY} if shape.in_study else set()
    levels |= {Level.SERIES} if shape.in_series else set()
    return prepare(_matching(shape, levels, [func.count(), OLDEST]))


def _matching(
    shape: _Shape, levels: set[Level], columns: Sequence[ColumnElement[Any]]
) -> Select[Any]:
    """Columns of what matches and may be seen, over the tables of these levels."""
    searched = _TABLES[shape.level]
    joined: FromClause = searched
    if Level.SERIES in levels and searched is _INSTANCE:
        joined = joined.join(_SERIES, searched.c.series_id == _SERIES.c.id)
    if Level.STUDY in levels and searched is not _STUDY:
        joined = joined.join(_STUDY, searched.c.study_id == _STUDY.c.id)
    statement = select(*columns).select_from(joined)
    statement = statement.where(*(visible(_MODELS[level]) for level in _LEVELS if level in levels))
    if shape.in_study:
        statement = statement.where(_STUDY.c.study_instance_uid == bindparam("study"))
    if shape.in_series:
        statement = statement.where(_SERIES.c.series_instance_uid == bindparam("series"))
    numbers = count()

    def bind(kind: TypeEngine[Any]) -> BindParameter[Any]:
        return bindparam(f"v{next(numbers)}", type_=kind)

    return statement.where(*(form.condition(_TABLES[at], bind) for at, form in shape.forms))


def _order(shape: _Shape) -> Iterator[ColumnElement[Any]]:
    """What all matches of the search have in common is left out."""
    if not shape.in_study:
        yield from _NEWEST_FIRST
    if shape.level is not Level.STUDY and not shape.in_series:
        yield from _WITHIN_STUDY
    if shape.level is Level.INSTANCE:
        yield from _WITHIN_SERIES


def _parts(shape: _Shape) -> Iterator[tuple[Level, list[str]]]:
    """The wanted parts and the columns that fill their fields."""
    for level in shape.levels:
        if level in shape.wanted.levels:
            names = [field.name for field in fields(_PARTS[level])]
            yield level, names if shape.wanted.metadata else [n for n in names if n != _METADATA]


@lru_cache(_SHAPES)
def _reader(shape: _Shape) -> Callable[[Any], Found]:
    """What makes a `Found` of a row of `_page`."""
    uids = len(shape.levels)
    parts: list[tuple[str, Any, slice]] = []
    begin = uids
    for level, names in _parts(shape):
        parts.append((str(level), _PARTS[level], slice(begin, begin + len(names))))
        begin += len(names)

    def read(row: Any) -> Found:
        return Found(*row[:uids], **{name: part(*row[at]) for name, part, at in parts})

    return read
