"""Matching as PS3.4 C.2.2.2 words it, key by key and value by value, over pydicom data sets.

Written from the standard and from what the conformance statement adds to it, and from nothing else:
it shares no code with the archive, so that the two can be compared.
"""

import re
import unicodedata
from calendar import monthrange
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydicom import Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag

SOUNDS: dict[str, set[str]] = {}
"""The codes of words by Daitch and Mokotoff, which PostgreSQL knows."""

WILD = {"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"}
MULTIPLE = {"AE", "AS", "AT", "CS", "LO", "PN", "SH", "UC"}


@dataclass(frozen=True)
class Asked:
    """One key: the keywords or tags that lead to its attribute, and the text it is matched with."""

    path: tuple[str, ...]
    text: str

    @property
    def name(self) -> str:
        """As a parameter is called."""
        return ".".join(self.path)


@dataclass(frozen=True)
class Options:
    """What is asked for besides."""

    fuzzy: bool = False
    empty: bool = False
    multiple: bool = False


def matches(data_set: Dataset, keys: Sequence[Asked], options: Options) -> bool:
    """Whether the data set matches all of the keys."""
    own = {key.path[0]: key.text for key in keys if len(key.path) == 1}
    for date, time in (("StudyDate", "StudyTime"), ("SeriesDate", "SeriesTime")):
        if _ranges_alike(own.get(date, ""), own.get(time, "")):
            if not _combined(data_set, date, time, own[date], own[time]):
                return False
            own = {name: text for name, text in own.items() if name not in (date, time)}
    if not all(_one(data_set, name, text, options) for name, text in own.items()):
        return False
    below: dict[str, list[Asked]] = {}
    for key in keys:
        if len(key.path) > 1 and key.text.strip("*"):
            below.setdefault(key.path[0], []).append(Asked(key.path[1:], key.text))
    return all(
        any(matches(item, some, options) for item in _items(data_set, name))
        for name, some in below.items()
    )


def _items(data_set: Dataset, name: str) -> list[Dataset]:
    return list(data_set[_tag(name)].value) if _tag(name) in data_set else []


def _tag(name: str) -> BaseTag:
    found = tag_for_keyword(name)
    return Tag(int(name, 16)) if found is None else Tag(found)


def _values(data_set: Dataset, name: str) -> list[str]:
    if _tag(name) not in data_set:
        return []
    value = data_set[_tag(name)].value
    values = list(value) if isinstance(value, MultiValue | list) else [value]
    return [text for each in values if each is not None and (text := str(each).strip())]


def _one(data_set: Dataset, name: str, text: str, options: Options) -> bool:
    vr = "LO" if tag_for_keyword(name) is None else dictionary_VR(_tag(name))
    values = _values(data_set, name)
    if not text.strip("*"):
        return True
    if options.empty and text == '""':
        return not values
    if options.multiple and vr in MULTIPLE and "\\" in text:
        wanted = [part for part in text.split("\\") if part]
        return all(any(_fits(vr, value, part, options) for value in values) for part in wanted)
    if vr in ("UI", "CS"):
        parts = [part for part in re.split(r"[,\\]", text) if part]
        return any(_fits(vr, value, part, options) for value in values for part in parts)
    return any(_fits(vr, value, text, options) for value in values)


def _fits(vr: str, value: str, text: str, options: Options) -> bool:
    if vr == "PN":
        return _name(value, text, fuzzy=options.fuzzy)
    if vr in ("DA", "TM"):
        low, high = _ends(text, vr)
        return low <= _span(value, vr)[0] <= high
    if vr == "DT":
        return _moment_fits(value, text)
    if vr in ("IS", "DS"):
        return float(value) == float(text)
    if vr in WILD:
        return _like(text, value)
    return value == text


def _like(pattern: str, value: str) -> bool:
    parts = [{"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in pattern]
    return re.fullmatch("".join(parts), value, re.DOTALL) is not None


def _folded(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text)
    return "".join(each for each in letters if not unicodedata.combining(each)).casefold()


def _name(value: str, text: str, *, fuzzy: bool) -> bool:
    groups = [_folded(group).rstrip("^") for group in value.split("=") if group]
    wanted = [_folded(group) for group in text.split("=") if group]
    if all(any(_group(part, group) for group in groups) for part in wanted):
        return True
    words = [word for group in groups for word in re.split(r"[\^ ,.\-]", group)]
    asked = [word for word in re.split(r"[\s^=,.*?-]+", _folded(text)) if word]
    heard = "*" not in text and "?" not in text
    return (
        fuzzy
        and bool(asked)
        and all(any(_alike(each, word, heard=heard) for word in words) for each in asked)
    )


def _alike(asked: str, word: str, *, heard: bool) -> bool:
    sound = SOUNDS.get(asked, set()) & SOUNDS.get(word, set())
    return word.startswith(asked) or (heard and bool(sound))


def words_of(names: Iterable[str]) -> set[str]:
    """The words of names that have a sound: of three Latin letters at least."""
    return {word for name in names for word in re.findall(r"(?<!\w)[a-z]{3,}(?!\w)", _folded(name))}


def _group(pattern: str, group: str) -> bool:
    """Components that are left out at the end are empty ones."""
    if "*" not in pattern:
        return _like(pattern.rstrip("^"), group)
    return _like(pattern, group) or (pattern.endswith("^*") and _like(pattern[:-2], group))


def _span(text: str, vr: str) -> tuple[str, str]:
    """The first and the last moment that a time of limited precision means."""
    if vr == "DA":
        return text, text
    digits, _, fraction = text.partition(".")
    if fraction:
        exact = f"{digits}.{fraction.ljust(6, '0')}"
        return exact, exact
    return digits.ljust(6, "0") + ".000000", digits + "235960"[len(digits) :] + ".999999"


def _ends(text: str, vr: str) -> tuple[str, str]:
    low, dash, high = text.partition("-")
    if not dash:
        return _span(text, vr)
    return (_span(low, vr)[0] if low else ""), (_span(high, vr)[1] if high else "~")


def _ranges_alike(dates: str, times: str) -> bool:
    ends = [text.partition("-") for text in (dates, times) if "-" in text]
    return len({(bool(low), bool(high)) for low, _, high in ends}) == 1 and len(ends) == 2


def _combined(data_set: Dataset, date: str, time: str, dates: str, times: str) -> bool:
    """A date without a time is in the range if the whole day is."""
    days, clocks = _values(data_set, date), _values(data_set, time)
    if not days:
        return False
    (first, last), (begin, end) = _ends(dates, "DA"), _ends(times, "TM")
    if not clocks:
        return first < days[0] < last
    return (first, begin) <= (days[0], _span(clocks[0], "TM")[0]) <= (last, end)


def _moment_fits(value: str, text: str) -> bool:
    """Whether two spans of time have a moment in common; by the clock if one has no zone."""
    low, dash, high = (
        text.partition("-") if re.fullmatch(r"[\d.+]*-[\d.+]*", text) else ("", "", "")
    )
    first, last = (low, high) if dash else (text, text)
    begins = not first or _moments(value, first)[1] >= _moments(first, value)[0]
    return begins and (not last or _moments(value, last)[0] <= _moments(last, value)[1])


def _moments(text: str, other: str) -> tuple[datetime, datetime]:
    found = re.fullmatch(r"(\d+)(?:\.(\d+))?([+-]\d{4})?", text)
    assert found is not None
    digits, fraction, offset = found.groups()
    first = _at(digits + "00000101000000"[len(digits) :])
    end = digits + f"{digits[:4]}1231235959"[len(digits) :]
    if len(digits) == 6:
        end = f"{digits}{monthrange(int(digits[:4]), int(digits[4:]))[1]}235959"
    last = _at(end)
    micro = int(fraction.ljust(6, "0")) if fraction else None
    first = first.replace(microsecond=micro or 0)
    last = last.replace(microsecond=999_999 if micro is None else micro)
    ahead = timedelta()
    if offset and re.search(r"[+-]\d{4}$", other):
        minutes = int(offset[1:3]) * 60 + int(offset[3:])
        ahead = timedelta(minutes=minutes if offset[0] == "+" else -minutes)
    return first - ahead, last - ahead


def _at(digits: str) -> datetime:
    return datetime.strptime(f"{digits}+0000", "%Y%m%d%H%M%S%z")
