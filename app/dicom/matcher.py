"""Whether a data set matches keys, told from its DICOM JSON (PS3.4 C.2.2.2).

For what the columns of the index cannot decide. Of several values of an attribute it is enough that
one fits. Values that are not in the JSON (bulk data) are there, and match nothing.
"""

import re
from base64 import b64decode
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from app.dicom import keys as key_values
from app.dicom import moments, normal
from app.dicom.phonetic import codes, codes_of_name
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

Json = Mapping[str, Any]
"""A data set in the DICOM JSON model: elements by tag."""

_TIMEZONE = "00080201"
_LONGEST_TEXT = 1024
"""Characters of Base64 that may be those of a text."""
_PRINTABLE = re.compile(rb"[\x20-\x7e\t\r\n]*[\0 ]?")
_BEFORE_A_WORD = r"(?:\A|(?<=[=^ ,.\-]))"


def fits(keys: Iterable[Key], attributes: Json, zone: int | None = None) -> bool:
    """Whether the data set matches all of the keys.

    `zone` is that of an item's data set: minutes ahead of UTC of moments that tell none themselves.
    """
    told = _first_text(attributes, _TIMEZONE)
    if told is not None:
        zone = moments.offset(told)
    return all(_fits(key.match, key.tag, attributes, zone) for key in keys)


def _first_text(attributes: Json, tag: str) -> str | None:
    _, values = values_of(attributes[tag]) if tag in attributes else ("", [])
    return str(values[0]) if values else None


def values_of(element: Json) -> tuple[str, list[Any]]:
    """The VR of an element and those of its values that can be matched.

    What has come without a VR, and reads like a text, is one: private elements often do.
    """
    vr, values = element["vr"], element.get("Value", [])
    if vr == "UN" and len(element.get("InlineBinary", "")) in range(1, _LONGEST_TEXT):
        raw = b64decode(element["InlineBinary"])
        if _PRINTABLE.fullmatch(raw):
            values = raw.decode("ascii").rstrip("\0").split("\\")
            vr = "UC"
    return vr, [value for value in values if value is not None and value != ""]


def is_binary(element: Json) -> bool:
    """Whether the value of an element is not one that the JSON tells."""
    return "InlineBinary" in element or "BulkDataURI" in element


def _fits(match: Match, tag: str, attributes: Json, zone: int | None) -> bool:
    element = attributes.get(tag)
    if element is None:
        return isinstance(match, Empty)
    if isinstance(match, BetweenMoments):
        return _between_moments(match, element, attributes.get(match.time))
    vr, values = values_of(element)
    if isinstance(match, Empty):
        return not values and not is_binary(element)
    return _some(match, vr, values, zone)


def _some(match: Match, vr: str, values: list[Any], zone: int | None) -> bool:
    """Whether the match fits one of the values."""
    match match:
        case AllOf(matches):
            return all(_some(one, vr, values, zone) for one in matches)
        case ByItsVr(texts, kinds):
            known = _known(vr, texts, kinds)
            return known is not None and _some(known, vr, values, zone)
        case InOneItem(keys):
            return vr == "SQ" and any(fits(keys, item, zone) for item in values)
        case Overlaps():
            return vr == "DT" and any(_overlaps(match, str(value), zone) for value in values)
        case PersonName():
            return vr == "PN" and any(_name_fits(match, value) for value in values)
        case _:
            forms = (normal.form(vr, value) for value in values)
            return any(form is not None and _one(match, form) for form in forms)


def _one(match: Match, value: str | int | float) -> bool:
    match match:
        case OneOf(values):
            return value in values
        case Wildcard(patterns):
            return isinstance(value, str) and like(*patterns).fullmatch(value) is not None
        case Between(low, high):
            return (
                isinstance(value, str)
                and (low is None or low <= value)
                and (high is None or value <= high)
            )
        case _:
            return False


def _between_moments(match: BetweenMoments, date: Json, time: Json | None) -> bool:
    """A date without a time lies between the ends if the whole day does."""
    days = [normal.form(*pair) for pair in _pairs(date)]
    times = [normal.form(*pair) for pair in _pairs(time)] if time else []
    if not days or days[0] is None:
        return False
    day = str(days[0])
    if not times or times[0] is None:
        return (match.low is None or match.low[0] < day) and (
            match.high is None or day < match.high[0]
        )
    moment = day, str(times[0])
    return (match.low is None or match.low <= moment) and (
        match.high is None or moment <= match.high
    )


def _pairs(element: Json) -> list[tuple[str, Any]]:
    vr, values = values_of(element)
    return [(vr, value) for value in values]


def _overlaps(match: Overlaps, value: str, zone: int | None) -> bool:
    span = moments.of_datetime(value)
    if span is None:
        return False
    if span.offset is None:
        span = replace(span, offset=zone)
    return (match.low is None or _at(span, match.low[1]).last >= match.low[0]) and (
        match.high is None or _at(span, match.high[1]).first <= match.high[0]
    )


def _at(span: moments.Span, offset: int | None) -> moments.Span:
    """The span by clocks of another zone; where one of the two is not known, they are the same."""
    if offset is None or span.offset is None:
        return span
    return span.moved(offset - span.offset)


def _name_fits(match: PersonName, value: Any) -> bool:
    name = normal.form("PN", value)
    return isinstance(name, str) and name_fits(match, name)


def name_fits(match: PersonName, name: str) -> bool:
    """Whether the match fits a name in its normal form."""
    groups = name.strip("=").split("=")
    if all(any(map(like(*patterns).fullmatch, groups)) for patterns in match.groups):
        return True
    return bool(match.words) and all(
        re.search(_BEFORE_A_WORD + re.escape(word), name) or (match.sounds and sounds(word, name))
        for word in match.words
    )


def sounds(word: str, name: str) -> bool:
    """Whether the word sounds like one of the words of a name in normal form."""
    return not codes(word).isdisjoint(codes_of_name(name))


@lru_cache(512)
def like(*patterns: str) -> re.Pattern[str]:
    """Patterns of Wild Card Matching as an expression, which one of them fits.

    It is made once for a key, since to make it takes longer than to match a value.
    """
    return re.compile("|".join(map(_expression, patterns)), re.DOTALL)


def _expression(pattern: str) -> str:
    """Matching it takes no more than the product of the two lengths, since what a piece has found
    is never given up for another."""
    head, *rest = [re.escape(piece).replace(r"\?", ".") for piece in pattern.split("*")]
    if not rest:
        return head
    *middle, tail = rest
    pieces = "".join(f"(?>.*?{piece})" for piece in middle)
    return f"{head}{pieces}.*{tail}"


@lru_cache(64)
def _known(vr: str, texts: tuple[str, ...], kinds: Kinds) -> Match | None:
    try:
        return key_values.match(vr, texts, kinds)
    except Unmatchable:
        return None
