"""Terms: what the index knows of attributes that have no column, as numbers of 64 bits.

A term is the hash of an attribute's path and of something that is true of it:

    00181030                      it has a value
    00181030=head routine         one of its values is this one, in normal form
    00080023=20, =2024, =202403   ... or begins so: dates, a DT up to its day, the hour of a time
    00189346.00080100=113691      within sequences the path has the tag of each
    52009230*                     whatever else there is to know of it has to be looked up

They are made of one data set, or of many together, as those of a series. `needs` tells what terms a
match must have, and whether it then is one: where terms do not suffice (wild cards, several keys in
one item, values marked by `*`), `app.dicom.matcher` decides from the data sets themselves.

Not taken for values are texts of free form and numbers with a fraction of which there are several,
such as coordinates, and what has a different value in each of very many data sets.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from app.dicom import keys as key_values
from app.dicom import moments, normal
from app.dicom.attributes import ATTRIBUTES
from app.dicom.matcher import is_binary, values_of
from app.dicom.query import (
    AllOf,
    Between,
    BetweenMoments,
    ByItsVr,
    Empty,
    InOneItem,
    Key,
    Kinds,
    Match,
    OneOf,
    Overlaps,
    PersonName,
    Unmatchable,
)

MOST_OF_DATA_SET = 10_000
"""Values and items of a data set that are taken; those of what comes after them are marked."""
MOST_OF_PATH = 128
"""Different values of one attribute, over all data sets; of more, none is a term."""
MOST_UIDS_OF_PATH = 2048
MOST_TERMS = 20_000
"""Of all data sets together; beyond that everything has to be looked up."""

_UNSUITED = frozenset(["LT", "ST", "UT"])
_DECIMALS = frozenset(["DS", "FD", "FL"])
_FIRST_DAY, _LAST_DAY = "00000101", "99991231"
_PARTS = {
    0: [f"{century:02d}" for century in range(100)],
    2: [f"{year:02d}" for year in range(100)],
    4: [f"{month:02d}" for month in range(1, 13)],
    6: [f"{day:02d}" for day in range(1, 32)],
}
"""What can follow so many digits of a date; a day may be one that its month does not have."""
_MORE_THAN_A_DAY = "?"
"""Found by this is a DT that does not tell the day."""
_MOST_BETWEEN_ZONES = 28 * 60
"""Minutes from one that is 14 hours behind UTC to one that is as much ahead."""

Json = Mapping[str, Any]
"""A data set in the DICOM JSON model: elements by tag."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What the terms of a data set must be for it to match."""

    some_of: tuple[frozenset[int], ...] = ()
    """Of each set, the data set has at least one."""
    none_of: frozenset[int] = frozenset()
    marks: frozenset[int] = frozenset()
    """With one of these, its terms tell nothing."""
    exact: bool = True
    """Whether a single data set certainly matches then."""

    def __and__(self, other: "Needs") -> "Needs":
        return Needs(
            self.some_of + other.some_of,
            self.none_of | other.none_of,
            self.marks | other.marks,
            self.exact and other.exact,
        )


@lru_cache(1 << 14)
def term(path: str, value: str = "") -> int:
    """The term of a path and of what is true of it, as PostgreSQL's bigint."""
    digest = blake2b(f"{path}{value}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


EVERYTHING = term("*")
"""Marks data sets of which everything has to be looked up."""


def terms(data_sets: Iterable[Json], known: Collection[int] = frozenset()) -> set[int]:
    """What is true of at least one of the data sets, or of others whose terms are known."""
    collected = _Collected(known)
    for data_set in data_sets:
        collected.take(data_set)
    found = collected.terms().union(known)
    return found if len(found) <= MOST_TERMS and EVERYTHING not in found else {EVERYTHING}


class _Collected:
    """What has been found so far, besides what was known."""

    def __init__(self, known: Collection[int]) -> None:
        self._known = known
        self._present: set[str] = set()
        self._marked: set[str] = set()
        self._values: dict[str, set[str]] = {}
        self._left = 0

    def take(self, data_set: Json) -> None:
        self._left = MOST_OF_DATA_SET
        self._take(data_set, "")

    def terms(self) -> set[int]:
        found = {term(path) for path in self._present}
        found |= {term(path, "*") for path in self._marked}
        for path, values in self._values.items():
            if path not in self._marked:
                found.update(term(path, f"={value}") for value in values)
        return found

    def _take(self, attributes: Json, above: str) -> None:
        for tag, element in attributes.items():
            path = above + tag
            vr, values = values_of(element)
            if not values:
                if is_binary(element):
                    self._present.add(path)
                continue
            if path not in self._present:
                self._present.add(path)
                if term(path, "*") in self._known:
                    self._marked.add(path)
            if path in self._marked:
                continue
            if len(values) > self._left or vr in _UNSUITED:
                self._mark(path)
            elif vr == "SQ":
                self._take_items(path, values)
            elif len(values) > 1 and vr in _DECIMALS:
                self._mark(path)
            elif len(values) > 1 or above or not _has_column(tag):
                self._take_values(path, vr, values)

    def _take_items(self, path: str, items: Sequence[Any]) -> None:
        # What is not a mapping is JSON that is finished already, which only large headers have.
        if not all(isinstance(item, dict) for item in items):
            self._mark(path)
            return
        self._left -= len(items)
        for item in items:
            self._take(item, f"{path}.")

    def _take_values(self, path: str, vr: str, values: Sequence[Any]) -> None:
        self._left -= len(values)
        known = self._values.setdefault(path, set())
        for value in values:
            known.update(_name_forms(value) if vr == "PN" else _forms_of(vr, value))
        if len(known) > (MOST_UIDS_OF_PATH if vr == "UI" else MOST_OF_PATH):
            self._mark(path)

    def _mark(self, path: str) -> None:
        self._marked.add(path)
        self._values.pop(path, None)


def _has_column(tag: str) -> bool:
    attribute = ATTRIBUTES.get(tag)
    return attribute is not None and attribute.column is not None


def _name_forms(value: Any) -> list[str]:
    name = normal.form("PN", value)
    return str(name).strip("=").split("=") if name is not None else []


@lru_cache(1 << 14)
def _forms_of(vr: str, value: str | int | float) -> tuple[str, ...]:
    """What a value of this VR is found by; remembered, since most data sets say the same."""
    return tuple(_forms(vr, value))


def _forms(vr: str, value: Any) -> Iterator[str]:
    if vr == "DT":
        span = moments.of_datetime(str(value))
        if span is not None and span.first[:8] == span.last[:8]:
            yield from _beginnings(span.first[:8])
        elif span is not None:
            yield _MORE_THAN_A_DAY
        return
    form = normal.form(vr, value)
    if form is None:
        return
    if vr == "DA":
        yield from _beginnings(str(form))
    elif vr == "TM":
        yield str(form)[:2]
    else:
        yield _text(form)


def _beginnings(day: str) -> Iterator[str]:
    return (day[: digits + 2] for digits in _PARTS)


def _text(form: str | int | float) -> str:
    """The same for equal numbers, whatever their type."""
    return str(int(form)) if isinstance(form, float) and form.is_integer() else str(form)


def needs(keys: Iterable[Key]) -> Needs:
    """What a data set must have to match the keys."""
    found = Needs()
    for key in keys:
        found &= _needs(key.match, key.tag)
    return found


def _needs(match: Match, path: str) -> Needs:
    match match:
        case Empty():
            return Needs(none_of=frozenset({term(path)}), marks=frozenset({EVERYTHING}))
        case InOneItem(keys):
            return _item_needs(keys, path)
        case AllOf(matches) if _has_column(path) and isinstance(matches[0], PersonName):
            # One name may have all of the groups, and of one name its values are no terms.
            return Needs((frozenset({term(path)}),), marks=_marks(path), exact=False)
        case AllOf(matches):
            # Several values may be those of several items.
            found = Needs(marks=_marks(path), exact="." not in path)
            for one in matches:
                found &= _needs(one, path)
            return found
        case _:
            return _value_needs(match, path)


def _item_needs(keys: Sequence[Key], path: str) -> Needs:
    found = Needs((frozenset({term(path)}),), marks=_marks(path), exact=len(keys) == 1)
    for key in keys:
        below = _needs(key.match, f"{path}.{key.tag}")
        # What one item must not have, another one may.
        found &= Needs(exact=False) if below.none_of else below
    return found


def _value_needs(match: Match, path: str) -> Needs:
    values, exact = _values(match)
    if values is None:
        return Needs((frozenset({term(path)}),), marks=_marks(path), exact=False)
    return Needs(
        tuple(frozenset(term(path, f"={value}") for value in some) for some in values),
        marks=_marks(path),
        exact=exact,
    )


def _marks(path: str) -> frozenset[int]:
    """The terms by which the path, or a sequence that it goes through, was not taken apart."""
    steps = path.split(".")
    above = {term(".".join(steps[:end]), "*") for end in range(1, len(steps) + 1)}
    return frozenset(above | {EVERYTHING})


_Values = tuple[Sequence[Iterable[str]] | None, bool]
"""Of each group, one has to be among the forms of a value; or None. And whether that suffices."""


def _values(match: Match) -> _Values:
    match match:
        case OneOf(values):
            return [list(map(_text, values))], True
        case Between(low, high) if len(low or high or "") == len(_LAST_DAY):
            return [list(_days(low or _FIRST_DAY, high or _LAST_DAY))], True
        case Between(low, high):
            return [_hours(low, high)], False
        case BetweenMoments(_, first, last):
            days = _days(first[0] if first else _FIRST_DAY, last[0] if last else _LAST_DAY)
            return [list(days)], False
        case Overlaps(begin, end):
            # Its zone may be another one.
            days = _days(
                moments.moved(begin[0], -_MOST_BETWEEN_ZONES)[:8] if begin else _FIRST_DAY,
                moments.moved(end[0], _MOST_BETWEEN_ZONES)[:8] if end else _LAST_DAY,
            )
            return [[*days, _MORE_THAN_A_DAY]], False
        case PersonName(groups, ()) if not any("*" in p or "?" in p for g in groups for p in g):
            return groups, len(groups) == 1
        case ByItsVr(texts, kinds):
            return _of_any_vr(texts, kinds), False
        case _:
            return None, False


def _of_any_vr(texts: tuple[str, ...], kinds: Kinds) -> Sequence[Iterable[str]] | None:
    """What a value may be found by, whatever its VR turns out to be; None if that is unknown."""
    found: set[str] = set()
    for vr in ("LO", "AS", "AT", "CS", "UI", "IS", "UV", "DS", "FL", "DA", "TM", "DT", "PN"):
        try:
            match = key_values.match(vr, texts, kinds)
        except Unmatchable:
            continue
        values = _values(match)[0] if match is not None else None
        if not values:
            return None
        found.update(values[0])
    return [found]


def _hours(low: str | None, high: str | None) -> list[str]:
    first, last = int(low[:2]) if low else 0, int(high[:2]) if high else 23
    return [f"{hour:02d}" for hour in range(first, last + 1)]


def _days(low: str, high: str, prefix: str = "") -> Iterator[str]:
    """The fewest centuries, years, months and days that make up the dates from `low` to `high`."""
    for part in _PARTS[len(prefix)]:
        beginning = prefix + part
        first = beginning + _FIRST_DAY[len(beginning) :]
        last = beginning + _LAST_DAY[len(beginning) :]
        if low <= first and last <= high:
            yield beginning
        elif first <= high and low <= last:
            yield from _days(low, high, beginning)
