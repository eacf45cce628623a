"""What the text of a key means, by the VR of its attribute (PS3.4 C.2.2.2).

    PN                   without case and accents, over all component groups, `*` and `?`
    CS                   one or several codes, `*` and `?`
    other texts          one value, `*` and `?`, but for AS and AT
    UI                   one or several UIDs; never a wild card
    DA TM DT             one value or a range, open at either end
    IS US DS FL ...      one number

`*` alone and the empty value match everything, whatever the VR. Two quotation marks are no value at
all, if Empty Value Matching is asked for. With Multiple Value Matching, values joined by `\\` must
all be there; empty ones among them say nothing.
"""

import re
from collections.abc import Callable, Iterable, Sequence

from app.dicom import moments, normal
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
    Wildcard,
)
from app.dicom.uids import valid_uid

EMPTY_VALUE = '""'
NO_KINDS = Kinds()


def match(vr: str | None, values: Sequence[str], kinds: Kinds = NO_KINDS) -> Match | None:
    """How the values of a key are to be matched; None if any value will do.

    Several values mean one of them, which only UI and CS allow. A VR of None is one that only the
    data sets tell. Raises `Unmatchable`.
    """
    given = [value.strip(" ") for value in values]
    if all(not value.strip("*") for value in given):
        return None
    if kinds.empty_values and given == [EMPTY_VALUE]:
        return Empty()
    if vr is None:
        return _by_its_vr(given, kinds)
    if kinds.multiple_values and vr in _MULTIPLE and any("\\" in value for value in given):
        return _all_of(vr, given, kinds)
    if vr in _LISTS:
        return _LISTS[vr](
            [part.strip(" ") for value in given for part in re.split(r"[,\\]", value)]
        )
    if len(given) > 1:
        raise Unmatchable("the attribute is given more than once")
    if vr == "PN":
        return _person_name(given[0], fuzzy=kinds.fuzzy)
    if vr not in _SINGLES:
        raise Unmatchable(f"values of {vr} cannot be matched")
    return _SINGLES[vr](given[0])


def combined(keys: Iterable[Key]) -> tuple[Key, ...]:
    """The keys, with ranges of a date and of its time made one range of moments.

    They are one if they have the same form: both closed, or open at the same end.
    """
    given = tuple(keys)
    ranges = {
        key.tag: key.match
        for key in given
        if isinstance(key.match, Between) and not key.match.of_one_value
    }
    moments_by_date = {
        date_tag: BetweenMoments(
            time_tag, _moment(dates.low, times.low), _moment(dates.high, times.high)
        )
        for date_tag, time_tag in _DATES_AND_TIMES
        if (dates := ranges.get(date_tag)) and (times := ranges.get(time_tag))
        if dates.form == times.form
    }
    their_times = {both.time for both in moments_by_date.values()}
    return tuple(
        Key(key.tag, moments_by_date.get(key.tag, key.match))
        for key in given
        if key.tag not in their_times
    )


def in_zone(match: Match, minutes: int) -> Match:
    """The match, with values of DT that tell no zone taken to be so many minutes ahead of UTC."""
    if isinstance(match, Overlaps):
        low, high = (
            end and (end[0], minutes if end[1] is None else end[1])
            for end in (match.low, match.high)
        )
        return Overlaps(low, high)
    if isinstance(match, InOneItem):
        return InOneItem(tuple(Key(key.tag, in_zone(key.match, minutes)) for key in match.keys))
    return match


_DATES_AND_TIMES = (
    *(("00080020", "00080030"), ("00080021", "00080031"), ("00080022", "00080032")),
    *(("00080023", "00080033"), ("00080012", "00080013")),
    *(("00400244", "00400245"), ("00400250", "00400251")),
)
"""Attributes with a date and with its time."""
_MULTIPLE = frozenset(["AE", "AS", "AT", "CS", "LO", "PN", "SH", "UC"])
_PADDING = re.compile(r"[\^*]*\Z")
_BETWEEN_WORDS = re.compile(r"[\s^=,.*?-]+")
_AGE = re.compile(r"[0-9]{3}[DWMY]")
_TAG = re.compile(r"[0-9A-F]{8}")
_MOST_WORDS = 16
_MOST_VALUES = 64


def _moment(date: str | None, time: str | None) -> tuple[str, str] | None:
    return None if date is None or time is None else (date, time)


def _by_its_vr(values: Sequence[str], kinds: Kinds) -> Match:
    if any(len(value) > normal.LONGEST for value in values):
        raise Unmatchable(f"only {normal.LONGEST} characters of a value are matched")
    if len(values) > 1:
        raise Unmatchable("the attribute is given more than once")
    return ByItsVr(tuple(values), kinds)


def _all_of(vr: str, given: Sequence[str], kinds: Kinds) -> Match | None:
    values = dict.fromkeys(value.strip(" ") for text in given for value in text.split("\\"))
    if any(map(_is_wild, values)):
        raise Unmatchable("several values that must all be there take no wild cards")
    if len(values) > _MOST_VALUES:
        raise Unmatchable(f"at most {_MOST_VALUES} values are matched at once")
    singly = Kinds(fuzzy=kinds.fuzzy)
    # An empty one is matched by everything, as it is where it stands alone.
    each = (match(vr, [value], singly) for value in values if value)
    matches = tuple(dict.fromkeys(found for found in each if found is not None))
    return AllOf(matches) if len(matches) > 1 else next(iter(matches), None)


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
        if len(codes) > _MOST_VALUES:
            raise Unmatchable(f"with wild cards, at most {_MOST_VALUES} values are matched at once")
        return Wildcard(tuple(map(_pattern, codes)))
    return OneOf(codes)


def _text(value: str) -> Match:
    if len(value) > normal.LONGEST:
        raise Unmatchable(f"only {normal.LONGEST} characters of a value are matched")
    return Wildcard((_pattern(value),)) if _is_wild(value) else OneOf((value,))


def _age(value: str) -> Match:
    if not _AGE.fullmatch(value.upper()):
        raise Unmatchable("the value must be three digits and D, W, M or Y")
    return OneOf((value.upper(),))


def _tag(value: str) -> Match:
    if not _TAG.fullmatch(value.upper()):
        raise Unmatchable("the value must be a tag of eight hexadecimal digits")
    return OneOf((value.upper(),))


def _integer(value: str) -> Match:
    number = normal.integer(value)
    if number is None:
        raise Unmatchable("the value must be an integer")
    return OneOf((number,))


def _unsigned(value: str) -> Match:
    number = normal.unsigned(value)
    if number is None:
        raise Unmatchable("the value must be an integer of 64 bits without a sign")
    return OneOf((number,))


def _decimal(value: str) -> Match:
    number = normal.decimal(value)
    if number is None:
        raise Unmatchable("the value must be a number")
    return OneOf((number,))


def _single(value: str) -> Match:
    number = normal.single(value)
    if number is None:
        raise Unmatchable("the value must be a number")
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
    span = Between(first and first[0], last and last[1], of_one_value=not dash)
    _check_range(low, high if dash else low, span, "HHMMSS.FFFFFF, or the beginning of it,")
    return span


def _check_range(low: str, high: str, span: Between, form: str) -> None:
    """Each end must be understood or left open, and not both may be open."""
    misread = (span.low is None) != (not low.strip()) or (span.high is None) != (not high.strip())
    if misread or span == Between(None, None):
        raise Unmatchable(f"the value must be {form} or a range of two, joined by one hyphen")


def _datetime(value: str) -> Match:
    """A hyphen joins two ends, or begins an offset from UTC; what can be one value is one."""
    if (whole := moments.of_datetime(value)) is not None:
        return Overlaps((whole.first, whole.offset), (whole.last, whole.offset))
    for hyphen in (found.start() for found in re.finditer("-", value[: normal.LONGEST])):
        ends = value[:hyphen].strip(), value[hyphen + 1 :].strip()
        low, high = map(moments.of_datetime, ends)
        if any(ends) and (low or not ends[0]) and (high or not ends[1]):
            return Overlaps(
                (low.first, low.offset) if low else None, (high.last, high.offset) if high else None
            )
    raise Unmatchable("the value must be YYYYMMDDHHMMSS.FFFFFF&ZZXX, or the beginning, or a range")


def _person_name(value: str, *, fuzzy: bool) -> Match:
    if len(value) > normal.LONGEST:
        raise Unmatchable(f"only {normal.LONGEST} characters of a value are matched")
    groups = [group for group in map(normal.name_group, value.split("=")) if group]
    if not groups or len(groups) > 3:
        raise Unmatchable("a name has one to three component groups")
    words = tuple(filter(None, _BETWEEN_WORDS.split("=".join(groups)))) if fuzzy else ()
    if len(words) > _MOST_WORDS:
        raise Unmatchable(f"at most {_MOST_WORDS} words of a name are matched")
    patterns = tuple(map(_name_patterns, groups))
    return PersonName(patterns, words, sounds=bool(words) and not _is_wild(value))


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
    **dict.fromkeys(["AE", "LO", "LT", "SH", "ST", "UC", "UR", "UT"], _text),
    "AS": _age,
    "AT": _tag,
    **dict.fromkeys(normal.INTEGERS, _integer),
    "DA": _date,
    "DS": _decimal,
    "DT": _datetime,
    "FD": _decimal,
    "FL": _single,
    "TM": _time,
    "UV": _unsigned,
}
