"""Keys of a query as SQL conditions over the columns that hold normal forms.

A condition is built once for every *form* that a key can have, since building and planning cost
more than most searches, and runs with the *values* of the key at hand:

    PatientID=1234        form (one)           condition  patient_id = :v0         values ["1234"]
    PatientID=12*         form (prefix)        condition  patient_id >= :v0 AND patient_id < :v1

Values never become part of a statement's text.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
)
from sqlmodel import SQLModel

from app.dicom.attributes import ATTRIBUTES, Level
from app.dicom.query import (
    Between,
    BetweenMoments,
    InOneItem,
    Key,
    Match,
    OneOf,
    PersonName,
    Wildcard,
)
from app.index.tables import Instance, Series, Study

TABLES: dict[Level, type[SQLModel]] = {
    Level.STUDY: Study,
    Level.SERIES: Series,
    Level.INSTANCE: Instance,
}
"""The table that holds what is known of each level."""

_LAST_CHARACTER = "\U0010ffff"
_ARRAY_COLUMNS = frozenset({"modalities", "sop_classes"})


@dataclass(frozen=True, slots=True)
class Form:
    """What decides about the text of a condition, without the values."""

    tag: str
    kind: str
    detail: tuple[Any, ...] = ()


Bind = Callable[[Any], BindParameter[Any]]
"""Makes the parameter for the next value, of the given type."""


def form_of(key: Key) -> tuple[Form, list[Any]]:
    """The form of a key, and its values in the order of the condition's parameters."""
    kind, detail, values = _form(key.tag, key.match)
    return Form(key.tag, kind, detail), values


def condition(form: Form, bind: Bind) -> ColumnElement[bool]:
    """The condition that a key of this form stands for."""
    attribute = ATTRIBUTES[form.tag]
    assert attribute.column is not None
    table = TABLES[attribute.level]
    column = getattr(table, attribute.column)
    if form.kind == "moments":
        time = ATTRIBUTES[form.detail[0]].column
        assert time is not None
        return _moments(column, getattr(table, time), form.detail, bind)
    return _CONDITIONS[form.kind](column, form.detail, bind)


def _form(tag: str, match: Match) -> tuple[str, tuple[Any, ...], list[Any]]:
    attribute = ATTRIBUTES.get(tag)
    many_valued = attribute is not None and attribute.column in _ARRAY_COLUMNS
    match match:
        case OneOf(values) if many_valued:
            return "overlaps", (), [list(values)]
        case Wildcard(patterns) if many_valued:
            return "has like", (), [[_like(pattern) for pattern in patterns]]
        case OneOf(values):
            return _one_of(values)
        case Wildcard(patterns):
            return _wildcard(patterns)
        case Between(low, high):
            ends = [end for end in (low, high) if end is not None]
            return "between", (low is not None, high is not None), ends
        case BetweenMoments(time, low, high):
            moments = [part for end in (low, high) if end is not None for part in end]
            return "moments", (time, low is not None, high is not None), moments
        case PersonName():
            return _person_name(match)
        case InOneItem(keys):
            return _in_one_item(keys)
