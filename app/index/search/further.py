"""Values beyond the first one, which columns do not hold: the rows that have a matching one.

    StudyDescription=NECK    the column says so; or the row is one of these, which say HEAD\\NECK

Attributes with a column have one value by PS3.6, so there are few such rows, mostly none. To ask
for them before the search costs less than a condition in each of the commonest searches would.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    FromClause,
    any_,
    bindparam,
    exists,
    func,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import TypeEngine

from app.dicom.attributes import ATTRIBUTES, Level, level_of
from app.dicom.matched import SEVERAL
from app.dicom.matcher import name_fits
from app.dicom.query import Empty, Key, PersonName
from app.index.search.matching import Bind, Form, Parts, take_apart
from app.index.search.ordering import TABLES
from app.index.statements import Connection, Prepared, prepare, table
from app.index.tables import Partition
from app.index.visibility import Visibility

MOST_HEARD = 3
"""Further values of a name that are found by sound."""
_FORMS = 512
_PARTITION = table(Partition).c


@dataclass(frozen=True, slots=True)
class OrOneOf(Form):
    """What the form says, or the row is one of those given."""

    form: Form

    def condition(self, table: FromClause, bind: Bind) -> ColumnElement[bool]:
        said = self.form.condition(table, bind)
        return or_(said, table.c.id == any_(bind(ARRAY(BigInteger()))))


class Told(Form):
    """Says nothing: the further values are told instead, to be looked at one by one."""


HAS_FURTHER: ColumnElement[bool] = (
    select(_PARTITION.has_further_values)
    .where(_PARTITION.id == bindparam("visible_partition"))
    .scalar_subquery()
)
"""Whether there ever were such rows, as a column for the statement that reads a page."""


async def or_further(
    connection: Connection, visibility: Visibility, keys: Sequence[tuple[Key, Parts]]
) -> list[tuple[Key, Parts]]:
    """The keys with their parts, which say of rows with several values what is true of them."""
    made = list(keys)
    for level in (Level.STUDY, Level.SERIES):
        asked = [
            n
            for n, (key, _) in enumerate(made)
            if level_of(key.tag) is level and may_have_further(key)
        ]
        if not asked:
            continue
        each = [_on_one_value(made[number][0]) for number in asked]
        values = [value for _, given in each for value in given]
        rows = await _having(level, tuple(form for form, _ in each)).fetch(
            connection,
            visible_partition=visibility.partition_id,
            **{f"v{number}": value for number, value in enumerate(values)},
        )
        for place, number in enumerate(asked, 1):
            key, (form, given) = made[number]
            if ids := [row[0] for row in rows if _has_fitting(key, row[place])]:
                made[number] = key, (OrOneOf(form.column, form), [*given, ids])
    return made


def _has_fitting(key: Key, told: Any) -> bool:
    """Whether a further value matches: `told` says so, or what the further values are."""
    if not isinstance(told, list):
        return bool(told)
    assert isinstance(key.match, PersonName)
    heard, others = told[:MOST_HEARD], told[MOST_HEARD:]
    silent = replace(key.match, sounds=False)
    return any(name_fits(key.match, name) for name in heard) or any(
        name_fits(silent, name) for name in others
    )


def may_have_further(key: Key) -> bool:
    """Whether a value beyond the first may match."""
    attribute = ATTRIBUTES[key.tag]
    return attribute.vr in SEVERAL and not attribute.computed and not isinstance(key.match, Empty)


def _on_one_value(key: Key) -> Parts:
    """The key as a form that can be put on any value."""
    parts = take_apart(key)
    assert parts is not None
    if isinstance(key.match, PersonName) and key.match.sounds:
        return Told(parts[0].column), []
    return parts


@lru_cache(_FORMS)
def _having(level: Level, forms: tuple[Form, ...]) -> Prepared:
    """The ids of rows with further values, and whether one of these fits, form by form.

    For `Told` it is the further values instead. Whether they may be seen is for the search to tell.
    """
    rows = TABLES[level].c
    numbers = count()

    def bind(kind: TypeEngine[Any]) -> BindParameter[Any]:
        return bindparam(f"v{next(numbers)}", type_=kind)

    told: list[ColumnElement[Any]] = []
    for form in forms:
        of_column = rows.further_values.op("->", return_type=JSONB())(form.column)
        if isinstance(form, Told):
            told.append(of_column)
            continue
        value = func.jsonb_array_elements_text(of_column).column_valued("value")
        told.append(exists().where(form.on(value, bind)))
    return prepare(
        select(rows.id, *told).where(
            rows.partition_id == bindparam("visible_partition"), rows.further_values.is_not(None)
        )
    )
