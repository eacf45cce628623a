"""The statements of a search, compiled once for each shape that a search can have."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    FromClause,
    Select,
    bindparam,
    case,
    exists,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import TypeEngine
from sqlmodel import SQLModel

from app.dicom.attributes import Level
from app.index.search.further import HAS_FURTHER
from app.index.search.matching import Form
from app.index.search.ordering import LEVELS, TABLES, Rank, comes_after, ordered
from app.index.search.values import Found, FoundInstance, FoundSeries, FoundStudy, Wanted
from app.index.statements import Prepared, prepare
from app.index.tables import Instance, Series, Study
from app.index.totals import LATEST, OLDEST
from app.index.visibility import visible


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides about the text of the statements of a search."""

    level: Level
    wanted: Wanted
    in_study: bool
    in_series: bool
    forms: tuple[tuple[Level, Form], ...]
    order: tuple[Rank, ...]
    goes_on: bool
    """Whether it begins after a place in the order."""
    hints: tuple[tuple[Level, Form], ...] = ()
    """What is true of all that matches, too, and helps to find a page of it."""
    presumes: bool = False
    """Whether it is to be told with each row if the partition has further values."""

    @classmethod
    def of_all_studies(cls) -> "Shape":
        """Of a search for studies that all match."""
        return cls(Level.STUDY, Wanted(frozenset()), False, False, (), (), False)

    @property
    def levels(self) -> list[Level]:
        """From the study down to what is searched for."""
        return LEVELS[: LEVELS.index(self.level) + 1]

    @property
    def study_ranks(self) -> tuple[Rank, ...]:
        """What studies are ordered by."""
        return tuple(rank for rank in self.order if rank.level is Level.STUDY)

    @property
    def is_of_everything(self) -> bool:
        """Whether all that may be seen of a level matches."""
        return not (self.in_study or self.forms)

    @property
    def is_of_first_studies(self) -> bool:
        """Whether so many matches from a place on are in as many studies from there on.

        They are where each study of which the hints are true has a match, and studies come one
        after the other.
        """
        below = [level for level, _ in self.forms if level is not Level.STUDY]
        levels = [LEVELS.index(rank.level) for rank in self.order]
        # The hint is made of the one key, and says that something matches it.
        in_turn = levels == sorted(levels) and not self.in_study
        return bool(self.hints) and len(below) == 1 and in_turn


METADATA = "metadata_json"
LATEST_CHANGE = "latest"
MATCHES = "matches"
FURTHER = "further"
_SHAPES = 512

_MODELS: dict[Level, type[SQLModel]] = {
    Level.STUDY: Study,
    Level.SERIES: Series,
    Level.INSTANCE: Instance,
}
_STUDY, _SERIES, _INSTANCE = TABLES.values()
_UIDS = {
    Level.STUDY: _STUDY.c.study_instance_uid,
    Level.SERIES: _SERIES.c.series_instance_uid,
    Level.INSTANCE: _INSTANCE.c.sop_instance_uid,
}
_SHORT_METADATA = case(
    (func.octet_length(_INSTANCE.c[METADATA]) <= literal_column("262144"), _INSTANCE.c[METADATA])
)
_TELLS_ZONE = _STUDY.c.attributes.op("LIKE", is_comparison=True)(
    literal_column("""'%"00080201"%'::bytea""")
)
_TELLING_ZONE = case((_TELLS_ZONE, _STUDY.c.attributes))
_PARTS: dict[Level, type[FoundStudy | FoundSeries | FoundInstance]] = {
    Level.STUDY: FoundStudy,
    Level.SERIES: FoundSeries,
    Level.INSTANCE: FoundInstance,
}
_COUNTS = {Level.SERIES: "number_of_series", Level.INSTANCE: "number_of_instances"}
"""The columns in which a row above says how many of a level it has."""


@lru_cache(_SHAPES)
def page(shape: Shape, within: int | None = None) -> Prepared:
    """A SELECT of the matches from a place on, up to a limit, and of the latest change.

    Each row ends with its place in the order. `within`: how many rows the limit and the offset
    reach at most. A plan that is kept is one for any limit, so for a tenth of all that match, if
    nothing else is said.
    """
    matching = _matching(shape, shape.level, set(shape.levels), _columns_of_page(shape))
    found = matching.order_by(*ordered(shape.order))
    if within is not None:
        first = found.limit(literal_column(str(within))).subquery("first")
        found = select(*first.c).order_by(*_in_order(shape.order, first))
    return _limited(shape, found)


@lru_cache(_SHAPES)
def first_studies(shape: Shape) -> Prepared:
    """A SELECT of the ids of the studies, in order, in which `page` has its first rows.

    As many as these rows can be in, and one more, since the first one may have nothing left.
    """
    ranks = shape.study_ranks
    conditions = [condition for at, condition in _conditions(shape) if at is Level.STUDY]
    found = select(_STUDY.c.id).where(visible(Study), *conditions)
    if shape.goes_on:
        found = found.where(comes_after(ranks, _placed, or_is_there=True))
    return prepare(found.order_by(*ordered(ranks)).limit(bindparam("most", type_=BigInteger())))


@lru_cache(_SHAPES)
def page_of_studies(shape: Shape) -> Prepared:
    """A SELECT of the rows of `page` that are in some studies, given in order by their ids."""
    ids = bindparam("studies", type_=ARRAY(BigInteger()))
    given = func.unnest(ids).table_valued("id", with_ordinality="number").render_derived()
    # In order, so that no more of them are read than the page takes.
    first = select(given.c.id, given.c.number).order_by(given.c.number).subquery("first_studies")
    matching = _matching(
        replace(shape, hints=()), shape.level, set(shape.levels), _columns_of_page(shape)
    )
    below = [rank for rank in shape.order if rank.level is not Level.STUDY]
    return _limited(
        shape,
        matching.where(_STUDY.c.id == first.c.id).order_by(first.c.number, *ordered(below)),
    )


def _columns_of_page(shape: Shape) -> list[ColumnElement[Any]]:
    return [*_columns(shape), LATEST.label(LATEST_CHANGE), *_told(shape), *_ranks(shape.order)]


def _limited(shape: Shape, found: Select[Any]) -> Prepared:
    limit, offset = _limits()
    return prepare(found.limit(limit).offset(offset), joined=_joined(shape))


def _limits() -> tuple[BindParameter[int], BindParameter[int]]:
    return bindparam("limit", type_=BigInteger()), bindparam("offset", type_=BigInteger())


@lru_cache(_SHAPES)
def page_of_few(shape: Shape) -> Prepared:
    """A SELECT of the rows of `page`, and of how many match from the place on, `most` at most.

    Matches are read once, both to be counted and to be put in order, and then only those of the
    page with everything that is wanted of them.
    """
    ids = [TABLES[level].c.id.label(f"{level}_id") for level in shape.levels]
    limit, offset = _limits()
    matching = (
        _matching(shape, shape.level, set(shape.levels), [*ids, *_ranks(shape.order)])
        .limit(bindparam("most", type_=BigInteger()))
        .cte("matching")
    )
    found = (
        select(matching)
        .order_by(*_in_order(shape.order, matching))
        .limit(limit)
        .offset(offset)
        .subquery("page")
    )
    joined: FromClause = found
    for level in shape.levels:
        joined = joined.join(TABLES[level], TABLES[level].c.id == found.c[f"{level}_id"])
    how_many = select(func.count()).select_from(matching).scalar_subquery()
    ranks = [found.c[f"r{number}"] for number in range(len(shape.order))]
    return prepare(
        select(*_columns(shape), how_many.label(MATCHES), *_told(shape), *ranks)
        .select_from(joined)
        .order_by(*_in_order(shape.order, found)),
        joined=_joined(shape),
    )


@lru_cache(_SHAPES)
def total(shape: Shape) -> Prepared:
    """A SELECT of how many match, and of the oldest transaction.

    Tables that make no difference are left out; where all below a row match, its count is taken.
    """
    shape = replace(shape, hints=())
    levels = {level for level, _ in shape.forms if level in shape.levels}
    levels |= {Level.STUDY} if shape.in_study else set()
    levels |= {Level.SERIES} if shape.in_series else set()
    if shape.goes_on:
        levels |= set(shape.levels)
    if shape.goes_on or any(level not in shape.levels for level, _ in shape.forms):
        levels |= {shape.level}
    lowest = max(levels or {Level.STUDY}, key=LEVELS.index)
    counted: ColumnElement[Any] = func.count()
    if lowest is not shape.level:
        below = func.sum(TABLES[lowest].c[_COUNTS[shape.level]])
        counted = func.coalesce(below, literal_column("0"))
    return prepare(
        _matching(shape, lowest, levels | {lowest}, [counted, OLDEST]), joined=_joined(shape)
    )


def studies(shape: Shape, columns: Sequence[ColumnElement[Any]]) -> Select[Any]:
    """Columns of the studies that match and may be seen, in no order."""
    return _matching(replace(shape, goes_on=False), Level.STUDY, {Level.STUDY}, columns)


def _matching(
    shape: Shape, lowest: Level, levels: set[Level], columns: Sequence[ColumnElement[Any]]
) -> Select[Any]:
    """Columns of what matches and may be seen, over the tables of these levels."""
    searched = TABLES[lowest]
    joined: FromClause = searched
    if Level.SERIES in levels and searched is _INSTANCE:
        joined = joined.join(_SERIES, searched.c.series_id == _SERIES.c.id)
    if Level.STUDY in levels and searched is not _STUDY:
        joined = joined.join(_STUDY, searched.c.study_id == _STUDY.c.id)
    statement = select(*columns).select_from(joined)
    statement = statement.where(*(visible(_MODELS[level]) for level in LEVELS if level in levels))
    if shape.in_study:
        statement = statement.where(_STUDY.c.study_instance_uid == bindparam("study"))
    if shape.in_series:
        statement = statement.where(_SERIES.c.series_instance_uid == bindparam("series"))
    conditions = _conditions(shape)
    statement = statement.where(*(each for at, each in conditions if at in shape.levels))
    if below := [(at, each) for at, each in conditions if at not in shape.levels]:
        statement = statement.where(_something_below(shape.level, below))
    return statement.where(comes_after(shape.order, _placed)) if shape.goes_on else statement


def _conditions(shape: Shape) -> list[tuple[Level, ColumnElement[bool]]]:
    """What the forms and the hints say, each of the table of a level."""
    numbers = count()

    def bind(kind: TypeEngine[Any]) -> BindParameter[Any]:
        return bindparam(f"v{next(numbers)}", type_=kind)

    return [(at, form.condition(TABLES[at], bind)) for at, form in shape.forms + shape.hints]


def _joined(shape: Shape) -> bool:
    """Whether all tables are joined; one that is asked whether it has something is not."""
    return all(level in shape.levels for level, _ in shape.forms)


def _something_below(
    level: Level, conditions: Sequence[tuple[Level, ColumnElement[bool]]]
) -> ColumnElement[bool]:
    """There is a series, or an instance and its series, of which all the conditions are true."""
    levels = {at for at, _ in conditions}
    lowest = max(levels, key=LEVELS.index)
    source: FromClause = TABLES[lowest]
    if len(levels) > 1:
        source = source.join(_SERIES, _INSTANCE.c.series_id == _SERIES.c.id)
    searched = TABLES[level]
    found: Select[Any] = (
        select(literal_column("1"))
        .select_from(source)
        .where(
            TABLES[lowest].c[f"{level}_id"] == searched.c.id,
            *(visible(_MODELS[at]) for at in LEVELS if at in levels),
            *(condition for _, condition in conditions),
        )
    )
    return exists(found.correlate(searched))


def _columns(shape: Shape) -> list[ColumnElement[Any]]:
    """What `reader` reads: UIDs, and the columns of the wanted parts."""
    columns: list[ColumnElement[Any]] = [_UIDS[level] for level in shape.levels]
    for level, names in _parts(shape):
        columns += [
            _SHORT_METADATA if name == METADATA else TABLES[level].c[name] for name in names
        ]
    return [*columns, _TELLING_ZONE] if shape.wanted.zone else columns


def _told(shape: Shape) -> list[ColumnElement[Any]]:
    return [HAS_FURTHER.label(FURTHER)] if shape.presumes else []


def _ranks(order: Sequence[Rank]) -> list[ColumnElement[Any]]:
    return [rank.value.label(f"r{number}") for number, rank in enumerate(order)]


def _in_order(order: Sequence[Rank], rows: FromClause) -> list[ColumnElement[Any]]:
    """What to give to ORDER BY, over rows that have their ranks."""
    return [
        value.desc() if rank.descending else value.asc()
        for rank, value in ((rank, rows.c[f"r{number}"]) for number, rank in enumerate(order))
    ]


def _placed(number: int, kind: TypeEngine[Any]) -> BindParameter[Any]:
    return bindparam(f"p{number}", type_=kind)


def _parts(shape: Shape) -> Iterator[tuple[Level, list[str]]]:
    """The wanted parts and the columns that fill their fields."""
    for level in shape.levels:
        if level in shape.wanted.levels:
            names = _PARTS[level]._fields
            yield level, [n for n in names if n != METADATA or shape.wanted.metadata]


@lru_cache(_SHAPES)
def reader(shape: Shape) -> Callable[[Any], Found]:
    """What makes a `Found` of a row of `page`."""
    uids = len(shape.levels)
    parts: list[tuple[str, Callable[..., Any], slice]] = []
    begin = uids
    for level, names in _parts(shape):
        make = _study if level is Level.STUDY else _PARTS[level]
        parts.append((str(level), make, slice(begin, begin + len(names))))
        begin += len(names)

    def read(row: Any) -> Found:
        found: dict[str, Any] = {name: make(*row[at]) for name, make, at in parts}
        if shape.wanted.zone:
            found["telling_zone"] = row[begin]
        return Found(*row[:uids], **found)

    return read


def _study(
    attributes: bytes, modalities: list[str], sop_classes: list[str], *others: Any
) -> FoundStudy:
    return FoundStudy(attributes, tuple(modalities), tuple(sop_classes), *others)
