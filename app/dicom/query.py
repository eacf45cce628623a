"""`Query`: what a search asks for, by whatever door it came (PS3.4 C.2.2.2).

Every value is a normal form of `app.dicom.normal`, to be compared with values of the index, which
are normal forms too. How the value of a key is to be read depends on its VR alone:

    PN                   without case and accents, over all component groups, `*` and `?`
    CS                   one or several codes, `*` and `?`
    other texts          one value, `*` and `?`
    UI                   one or several UIDs; never a wild card
    DA TM                one value or a range, open at either end
    IS US                one number

`*` alone and the empty value match everything, whatever the VR.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from app.dicom import normal
from app.dicom.attributes import Level
from app.dicom.uids import valid_uid


class Unmatchable(ValueError):
    """A key has a value that its VR does not allow; `str(error)` says why."""


@dataclass(frozen=True, slots=True)
class OneOf:
    """Equal to one of the values: Single Value Matching and List of UID Matching."""

    values: tuple[str, ...] | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Wildcard:
    """Like one of the patterns, where `*` is any run of characters and `?` any single one."""

    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Between:
    """Range Matching: from `low` to `high`, both included, None being open."""

    low: str | None
    high: str | None

    @property
    def form(self) -> tuple[bool, bool]:
        """Which ends are open."""
        return self.low is None, self.high is None


@dataclass(frozen=True, slots=True)
class BetweenMoments:
    """Range Matching of a date and a time as one (PS3.4 C.2.2.2.5.4), on the date's attribute.

    An end is a date and a time of that date.
    """

    time: str
    """The tag of the attribute that holds the time."""
    low: tuple[str, str] | None
    high: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class PersonName:
    """Each of `groups` is like a component group of the name, in any order.

    Of a group it is enough that one of its patterns fits. With Fuzzy Semantic Matching it is also
    enough that each of `words` begins a word of the name, in any order.
    """

    groups: tuple[tuple[str, ...], ...]
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InOneItem:
    """Sequence Matching: one and the same item matches all the keys."""

    keys: "tuple[Key, ...]"


Match = OneOf | Wildcard | Between | BetweenMoments | PersonName | InOneItem


@dataclass(frozen=True, slots=True)
class Key:
    """An attribute, by its tag, and what its value must be."""

    tag: str
    match: Match


@dataclass(frozen=True, slots=True)
class Query:
    """All keys must match. Keys and included fields of higher levels are allowed, not of lower."""

    level: Level
    keys: tuple[Key, ...] = ()
    study_instance_uid: str | None = None
    """The study to search in, if not all of them."""
    series_instance_uid: str | None = None
    """The series of that study to search in."""
    included: frozenset[str] = field(default_factory=frozenset)
    """Tags to return besides those that a search of this level always returns."""
    everything: bool = False
    """Whether to return every attribute that is known."""
    limit: int = 1000
    offset: int = 0


def match(vr: str, values: Sequence[str], *, fuzzy: bool = False) -> Match | None:
    """How the values of a key are to be matched; None if any value will do.

    Several values mean one of them, which only UI and CS allow. `fuzzy` asks for Fuzzy Semantic
    Matching of names besides the literal one. Raises `Unmatchable`.
    """
    given = [value.strip(" ") for value in values]
    if all(not value.strip("*") for value in given):
        return None
    if vr in _LISTS:
        return _LISTS[vr](
            [part.strip(" ") for value in given for part in re.split(r"[,\\]", value)]
        )
    if len(given) > 1:
        raise Unmatchable("the attribute is given more than once")
    if vr == "PN":
        return _person_name(given[0], fuzzy=fuzzy)
    return _SINGLES.get(vr, _text)(given[0])


def combined(keys: Iterable[Key]) -> tuple[Key, ...]:
    """The keys, with ranges of a date and of its time made one range of moments.

    They are one if they have the same form: both closed, or open at the same end.
    """
    matches = {key.tag: key.match for key in keys}
    for date_tag, time_tag in _DATES_AND_TIMES:
        dates, times = matches.get(date_tag), matches.get(time_tag)
        if isinstance(dates, Between) and isinstance(times, Between) and dates.form == times.form:
            matches[date_tag] = BetweenMoments(
                time_tag, _moment(dates.low, times.low), _moment(dates.high, times.high)
            )
            del matches[time_tag]
    return tuple(Key(tag, found) for tag, found in matches.items())


_DATES_AND_TIMES = (("00080020", "00080030"), ("00400244", "00400245"))
_PADDING = re.compile(r"[\^*]*\Z")
_BETWEEN_WORDS = re.compile(r"[\s^=,.*?-]+")
_MOST_WORDS = 16


def _moment(date: str | None, time: str | None) -> tuple[str, str] | None:
    return None if date is None or time is None else (date, time)


def _uids(values: list[str]) -> Match:
    uids = tuple(dict.fromkeys(filter(None, values)))
    if not uids or not all(map(valid_uid, uids)):
        raise Unmatchable("UIDs are digits and dots, at most 64 of them, and take no wild cards")
    return OneOf(uids)


def _codes(values: list[str]) -> Match | None:
    codes = tuple(dict.fromkeys(filter(None, values)))
    if not codes:
        raise Unmatchable("the list is empty")
    if any(not code.strip("*") for code in codes):
        return None
    if any(map(_is_wild, codes)):
        return Wildcard(tuple(map(_pattern, codes)))
    return OneOf(codes)


def _text(value: str) -> Match:
    if len(value) > normal.LONGEST:
        raise Unmatchable(f"only {normal.LONGEST} characters of a value are matched")
    return Wildcard((_pattern(value),)) if _is_wild(value) else OneOf((value,))


def _integer(value: str) -> Match:
    number = normal.integer(value)
    if number is None:
        raise Unmatchable("the value must be an integer")
    return OneOf((number,))


def _date(value: str) -> Match:
    low, dash, high = value.partition("-")
    span = Between(normal.date(low), normal.date(high))
    if not dash and span.low is not None:
        return OneOf((span.low,))
    _check_range(low, high, span, "YYYYMMDD")
    return span


def _time(value: str) -> Match:
    low, dash, high = value.partition("-")
    first, last = normal.times(low), normal.times(high if dash else low)
    span = Between(first and first[0], last and last[1])
    _check_range(low, high if dash else low, span, "HHMMSS.FFFFFF, or the beginning of it,")
    return span


def _check_range(low: str, high: str, span: Between, form: str) -> None:
    """Each end must be understood or left open, and not both may be open."""
    misread = (span.low is None) != (not low.strip()) or (span.high is None) != (not high.strip())
    if misread or span == Between(None, None):
        raise Unmatchable(f"the value must be {form} or a range of two, joined by one hyphen")


def _person_name(value: str, *, fuzzy: bool) -> Match:
    if len(value) > normal.LONGEST:
        raise Unmatchable(f"only {normal.LONGEST} characters of a value are matched")
    groups = tuple(map(_name_patterns, filter(None, map(normal.name_group, value.split("=")))))
    if not groups or len(groups) > 3:
        raise Unmatchable("a name has one to three component groups")
    words = tuple(filter(None, _BETWEEN_WORDS.split(normal.folded(value)))) if fuzzy else ()
    if len(words) > _MOST_WORDS:
        raise Unmatchable(f"at most {_MOST_WORDS} words of a name are matched")
    return PersonName(groups, words)


def _name_patterns(group: str) -> tuple[str, ...]:
    """The patterns that fit the group as the index has it: without empty components at its end.

    `doe^*` asks for any given name, also none.
    """
    bare = _PADDING.sub("", group)
    padding = group[len(bare) :]
    if "*" not in padding:
        return (_pattern(bare),)
    return (f"{_pattern(bare)}*",) if padding[0] == "*" else (_pattern(bare), f"{_pattern(bare)}^*")


def _is_wild(value: str) -> bool:
    return "*" in value or "?" in value


def _pattern(value: str) -> str:
    return re.sub(r"\*+", "*", value)


_LISTS: dict[str, Callable[[list[str]], Match | None]] = {"UI": _uids, "CS": _codes}
_SINGLES: dict[str, Callable[[str], Match]] = {
    "DA": _date,
    "TM": _time,
    "IS": _integer,
    "US": _integer,
}
