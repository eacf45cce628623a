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
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import TypeEngine

from app.dicom.attributes import ATTRIBUTES, Level, level_of
from app.dicom.matched import SEVERAL
from app.dicom.query import Empty, Key, PersonName
from app.index.search.matching import Bind, Form, Parts, take_apart
from app.index.search.ordering import TABLES
from app.index.statements import Connection, Prepared, prepare
from app.index.visibility import Visibility

_FORMS = 512


@dataclass(frozen=True, slots=True)
class OrOneOf(Form):
    """What the form says, or the row is one of those given."""

    form: Form

    def condition(self, table: FromClause, bind: Bind) -> ColumnElement[bool]:
        said = self.form.condition(table, bind)
        return or_(said, table.c.id == any_(bind(ARRAY(BigInteger()))))


async def or_further(
    connection: Connection, visibility: Visibility, keys: Sequence[tuple[Key, Parts]]
) -> list[tuple[Key, Parts]]:
    """The keys with their parts, which say of rows with several values what is true of them."""
    made = list(keys)
    for level in (Level.STUDY, Level.SERIES):
        asked = [n for n, (key, _) in enumerate(made) if level_of(key.tag) is level and _may(key)]
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
            if ids := [row[0] for row in rows if row[place]]:
                key, (form, given) = made[number]
                made[number] = key, (OrOneOf(form.column, form), [*given, ids])
    return made


def _may(key: Key) -> bool:
    """Whether a value beyond the first may match."""
    attribute = ATTRIBUTES[key.tag]
    return attribute.vr in SEVERAL and not attribute.computed and not isinstance(key.match, Empty)


def _on_one_value(key: Key) -> Parts:
    """The key as a form that can be put on any value."""
    if isinstance(key.match, PersonName):
        key = Key(key.tag, replace(key.match, sounds=False))
    parts = take_apart(key)
    assert parts is not None
    return parts


@lru_cache(_FORMS)
def _having(level: Level, forms: tuple[Form, ...]) -> Prepared:
    """The ids of rows of which a further value fits one of the forms, and which of them.

    Whether they may be seen is for the search to tell.
    """
    rows = TABLES[level].c
    numbers = count()

    def bind(kind: TypeEngine[Any]) -> BindParameter[Any]:
        return bindparam(f"v{next(numbers)}", type_=kind)

    fitting = []
    for form in forms:
        of_column = rows.further_values.op("->")(form.column)
        value = func.jsonb_array_elements_text(of_column).column_valued("value")
        fitting.append(exists().where(form.on(value, bind)))
    return prepare(
        select(rows.id, *fitting).where(
            rows.partition_id == bindparam("visible_partition"), rows.further_values.is_not(None)
        )
    )
