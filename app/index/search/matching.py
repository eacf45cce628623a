"""Keys of a query as SQL conditions over the columns that hold normal forms.

Building, compiling and planning a statement costs more than most searches. So a key is taken apart
into a *form*, which decides about the text of the condition and is made once, and the *values* that
fill its parameters each time:

    PatientID=1234     Equals("patient_id")    patient_id = $1                         1234
    PatientID=12*      Begins("patient_id")    patient_id >= $1 AND patient_id < $2    12, 12…

Values never become part of a statement's text.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    Text,
    and_,
    any_,
    cast,
    exists,
    func,
    literal_column,
    or_,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import TypeEngine

from app.dicom.attributes import ATTRIBUTES, REQUEST_ATTRIBUTES, Attribute
from app.dicom.query import (
    AllOf,
    Between,
    BetweenMoments,
    Empty,
    InOneItem,
    Key,
    Match,
    OneOf,
    PersonName,
    Wildcard,
)
from app.index.search.ordering import NEVER_NULL, indexed

Column = ColumnElement[Any]
Condition = ColumnElement[bool]
Bind = Callable[[TypeEngine[Any]], Column]
"""Makes the parameter for the next value, which has the given type."""

_TEXT = Text()
_TEXTS = ARRAY(Text())
_LAST_CHARACTER = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Form:
    """A condition without its values; equal forms make equal text."""

    column: str

    def condition(self, table: FromClause, bind: Bind) -> Condition:
        """The condition over a table that has the column."""
        return self.on(indexed(table, self.column), bind)

    def on(self, value: Column, bind: Bind) -> Condition:
        """The condition on one value, a column or an expression."""
        raise TypeError(f"{self} is no condition on a single value")


class Equals(Form):
    """The value is the one given."""

    def on(self, value: Column, bind: Bind) -> Condition:
        return value == bind(_wide(value.type))


class EqualsOne(Form):
    """The value is one of those given."""

    def on(self, value: Column, bind: Bind) -> Condition:
        return value == any_(bind(ARRAY(_wide(value.type))))


class Begins(Form):
    """The value begins with the text given; an index in order of code points serves it."""

    def on(self, value: Column, bind: Bind) -> Condition:
        return and_(value >= bind(_TEXT), value < bind(_TEXT))


class Like(Form):
    """The value fits the pattern."""

    def on(self, value: Column, bind: Bind) -> Condition:
        return value.like(bind(_TEXT))


class LikeOne(Form):
    """The value fits one of the patterns."""

    def on(self, value: Column, bind: Bind) -> Condition:
        return value.like(any_(bind(_TEXTS)))


@dataclass(frozen=True, slots=True)
class HasOne(Form):
    """The array has one of the values given; or of several such sets, one of each."""

    sets: int = 1
    among_few: bool = False
    """Whether other keys leave so few rows that an index would be a detour."""

    def on(self, value: Column, bind: Bind) -> Condition:
        if self.among_few:
            value = func.array_cat(value, literal_column("'{}'"), type_=_TEXTS)
        has_one = value.op("&&", is_comparison=True)
        return and_(*(has_one(bind(_TEXTS)) for _ in range(self.sets)))


class IsEmptyArray(Form):
    """The array has no value."""

    def on(self, value: Column, bind: Bind) -> Condition:
        return func.cardinality(value) == literal_column("0")


class IsNull(Form):
    """There is no value, or none that could be matched."""

    def condition(self, table: FromClause, bind: Bind) -> Condition:
        return table.c[self.column].is_(None)


class HasLike(Form):
    """The array has a value that fits one of the patterns."""

    def on(self, value: Column, bind: Bind) -> Condition:
        element = func.unnest(value).column_valued("element")
        return exists().where(element.like(any_(bind(_TEXTS))))


@dataclass(frozen=True, slots=True)
class InRange(Form):
    """The value lies between the ends given, themselves included."""

    low: bool
    high: bool

    def on(self, value: Column, bind: Bind) -> Condition:
        conditions = []
        if self.low:
            conditions.append(value >= bind(_TEXT))
        if self.high:
            conditions.append(value <= bind(_TEXT))
        return and_(*conditions)


@dataclass(frozen=True, slots=True)
class InRangeOfMoments(Form):
    """Date and time, taken as one, lie between the ends given; each end is a date and a time."""

    time: str
    low: bool
    high: bool

    def condition(self, table: FromClause, bind: Bind) -> Condition:
        moment = tuple_(table.c[self.column], table.c[self.time])
        # The days alone say less, but an index has them.
        day = indexed(table, self.column)
        conditions: list[Condition] = [table.c[self.column].is_not(None)]
        if self.low:
            conditions += [day >= bind(_TEXT), moment >= tuple_(bind(_TEXT), bind(_TEXT))]
        if self.high:
            conditions += [day <= bind(_TEXT), moment <= tuple_(bind(_TEXT), bind(_TEXT))]
        return and_(*conditions)


@dataclass(frozen=True, slots=True)
class NameFits(Form):
    """Each pattern fits a component group of the name, or else each word begins one of its words.

    `groups` says of every pattern of every group whether wild cards within it have to be kept from
    reaching over the `=` between two groups; such a pattern has a second value, for one group.
    """

    groups: tuple[tuple[bool, ...], ...]
    words: int

    def on(self, value: Column, bind: Bind) -> Condition:
        literal = and_(
            *(or_(*(self._pattern(value, wild, bind) for wild in group)) for group in self.groups)
        )
        if not self.words:
            return literal
        return or_(literal, and_(*(value.regexp_match(bind(_TEXT)) for _ in range(self.words))))

    def _pattern(self, value: Column, wild: bool, bind: Bind) -> Condition:
        anywhere = value.like(bind(_TEXT))
        if not wild:
            return anywhere
        group = func.unnest(func.string_to_array(value, "=")).column_valued("component_group")
        return and_(anywhere, exists().where(group.like(bind(_TEXT))))


class HasItems(Form):
    """The sequence has items with the values of the JSON given; an index serves it."""

    def on(self, value: Column, bind: Bind) -> Condition:
        return value.op("@>", is_comparison=True)(cast(bind(_TEXT), JSONB))


@dataclass(frozen=True, slots=True)
class HasItemThat(Form):
    """The sequence has an item that all the forms fit; their columns are its attributes' tags."""

    forms: tuple[Form, ...]

    def on(self, value: Column, bind: Bind) -> Condition:
        item = func.jsonb_array_elements(value, type_=JSONB).column_valued("item")
        return exists().where(*(form.on(item[form.column].astext, bind) for form in self.forms))


Parts = tuple[Form, list[Any]]
"""A form, and the values in the order in which its condition asks for parameters."""

_ARRAYS = frozenset({"modalities", "sop_classes"})
_BEFORE_ALL = "0"
"""Less than every date and time, but not than none."""
_BOUNDARY = "[=^ ,.-]"  # what a word of a name comes after
_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")
_SPECIAL_TO_LIKE = re.compile(r"[\\%_]")


def take_apart(key: Key) -> Parts | None:
    """The form of a key, and its values; None if no column decides it."""
    attribute = ATTRIBUTES.get(key.tag)
    if attribute is None or attribute.column is None or not _decides(attribute, key.match):
        return None
    return _parts(attribute.column, key.match)


def _decides(attribute: Attribute, match: Match) -> bool:
    """Whether the attribute's column is enough to tell; as a rule it holds its first value."""
    match match:
        case InOneItem(keys):
            return attribute.vr == "SQ" and all(
                key.tag in REQUEST_ATTRIBUTES and isinstance(key.match, OneOf | Wildcard)
                for key in keys
            )
        case BetweenMoments(time):
            return time in ATTRIBUTES and ATTRIBUTES[time].column is not None
        case AllOf():
            return attribute.column in _ARRAYS
        case Empty():
            return attribute.vr != "SQ"
        case _:
            return attribute.vr != "SQ"


def _parts(name: str, match: Match) -> Parts:
    match match:
        case OneOf(values):
            return _one_of(name, values)
        case Wildcard(patterns):
            return _wildcard(name, patterns)
        case Between(low, high):
            if low is None and name in NEVER_NULL:
                low = _BEFORE_ALL
            form = InRange(name, low is not None, high is not None)
            return form, [end for end in (low, high) if end is not None]
        case BetweenMoments(time, first, last):
            column = ATTRIBUTES[time].column
            assert column is not None
            moments = InRangeOfMoments(name, column, first is not None, last is not None)
            return moments, [part for end in (first, last) if end for part in (end[0], *end)]
        case PersonName(groups, words):
            return _name(name, groups, words)
        case InOneItem(keys):
            return _item(name, keys)
        case AllOf(matches):
            return HasOne(name, len(matches)), [list(_values(one)) for one in matches]
        case Empty():
            return (IsEmptyArray(name) if name in _ARRAYS else IsNull(name)), []
        case _:
            raise TypeError(f"no column is matched like this: {match}")


def _values(match: Match) -> Sequence[str | int | float]:
    return match.values if isinstance(match, OneOf) else ()


def _one_of(name: str, values: Sequence[str | int | float]) -> Parts:
    if name in _ARRAYS:
        return HasOne(name), [list(values)]
    if len(values) == 1:
        return Equals(name), [values[0]]
    return EqualsOne(name), [list(values)]


def _wildcard(name: str, patterns: Sequence[str]) -> Parts:
    likes = [_escaped(pattern) for pattern in patterns]
    if name in _ARRAYS:
        return HasLike(name), [likes]
    if len(patterns) > 1:
        return LikeOne(name), [likes]
    beginning = patterns[0].removesuffix("*")
    if beginning == patterns[0] or "*" in beginning or "?" in beginning:
        return Like(name), likes
    return Begins(name), [beginning, beginning + _LAST_CHARACTER]


def _name(name: str, groups: Iterable[Sequence[str]], words: Iterable[str]) -> Parts:
    values: list[str] = []
    wild: list[tuple[bool, ...]] = []
    for patterns in groups:
        for pattern in patterns:
            values.append(f"%={_escaped(pattern)}=%")
            if _reaches_over(pattern):
                values.append(_escaped(pattern))
        wild.append(tuple(map(_reaches_over, patterns)))
    found = expressions(words)
    return NameFits(name, tuple(wild), len(found)), values + found


def expressions(words: Iterable[str]) -> list[str]:
    """For each word a regular expression of PostgreSQL: a word of a name begins with it."""
    return [_BOUNDARY + _PUNCTUATION.sub(r"\\\g<0>", word) for word in words]


def _reaches_over(pattern: str) -> bool:
    """Whether a wild card stands between literal characters, or for exactly one."""
    inner = pattern.strip("*")
    return "*" in inner or "?" in inner


def _item(name: str, keys: Sequence[Key]) -> Parts:
    single = {
        key.tag: key.match.values[0]
        for key in keys
        if isinstance(key.match, OneOf) and len(key.match.values) == 1
    }
    if len(single) == len(keys):
        return HasItems(name), [orjson.dumps([single]).decode()]
    parts = [_parts(key.tag, key.match) for key in keys]
    return HasItemThat(name, tuple(form for form, _ in parts)), [v for _, vs in parts for v in vs]


def _escaped(pattern: str) -> str:
    """A pattern of DICOM as one of LIKE."""
    return _SPECIAL_TO_LIKE.sub(r"\\\g<0>", pattern).replace("*", "%").replace("?", "_")


def _wide(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """The type of a value that need not fit the column, and then does not match."""
    return BigInteger() if isinstance(kind, Integer) else _TEXT
