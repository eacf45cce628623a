"""The DT and what it means (PS3.5 6.2): a span of time, perhaps in a zone that it tells.

A value of limited precision means a span: `2024` is the whole year. A moment is written as
`YYYYMMDDHHMMSS.FFFFFF`, so that the order of texts is that of time.
"""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

_DATETIME = re.compile(
    r"(\d{4})(?:(0[1-9]|1[0-2])(?:(0[1-9]|[12]\d|3[01])"
    r"(?:([01]\d|2[0-3])(?:([0-5]\d)(?:([0-5]\d|60)(?:\.(\d{1,6}))?)?)?)?)?)?"
    r"([+-]\d{4})?",
    re.ASCII,
)
_OFFSET = re.compile(r"([+-])(0\d|1[0-4])([0-5]\d)", re.ASCII)
_FIRST = ("01", "01", "00", "00", "00")


@dataclass(frozen=True, slots=True)
class Span:
    """From the first moment to the last one that a value means, both included."""

    first: str
    last: str
    offset: int | None = None
    """Minutes that its zone is ahead of UTC, if the value says so."""

    def moved(self, minutes: int) -> "Span":
        """The same span by clocks that are so many minutes ahead of those it is given by."""
        return Span(moved(self.first, minutes), moved(self.last, minutes))


def offset(value: str) -> int | None:
    """Minutes ahead of UTC of an offset such as `-0500`; None if it is none."""
    found = _OFFSET.fullmatch(value.strip(" \0"))
    if not found:
        return None
    minutes = int(found[2]) * 60 + int(found[3])
    return -minutes if found[1] == "-" else minutes


def is_datetime(value: str) -> bool:
    """Whether the value is a DT."""
    found = _DATETIME.fullmatch(value)
    return found is not None and (found[8] is None or offset(found[8]) is not None)


def of_datetime(value: str) -> Span | None:
    """What a DT means; None if it is none."""
    found = _DATETIME.fullmatch(value.strip(" \0"))
    if not found:
        return None
    zone = offset(found[8]) if found[8] else None
    if found[8] and zone is None:
        return None
    year, *parts, fraction = found.groups()[:7]
    days = monthrange(int(year), int(parts[0] or 12))[1]
    last_parts = ("12", f"{days}", "23", "59", "60")
    if fraction:
        first = last = fraction.ljust(6, "0")
    else:
        first, last = "000000", "999999"
    return Span(
        f"{year}{_filled(parts, _FIRST)}.{first}",
        f"{year}{_filled(parts, last_parts)}.{last}",
        zone,
    )


def _filled(parts: list[str | None], missing: tuple[str, ...]) -> str:
    return "".join(part or other for part, other in zip(parts, missing, strict=True))


def moved(moment: str, minutes: int) -> str:
    """The moment so many minutes later; near the ends of the calendar, the same one."""
    # A day may be one that its month does not have, and a second the leap second 60.
    second = moment[12:14]
    year, month, day, hour, minute = (int(moment[i:j]) for i, j in pairwise((0, 4, 6, 8, 10, 12)))
    try:
        first = datetime(year, month, 1, hour, minute, tzinfo=UTC)
        at = first + timedelta(days=day - 1, minutes=minutes)
    except (OverflowError, ValueError):
        return moment
    return f"{at:%Y%m%d%H%M}".rjust(12, "0") + second + moment[14:]
