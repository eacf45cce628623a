"""Dates of FHIR searches: each stands for a span of time, as exact as it is written.

date=2026-01            in January
date=ge2026-01-02       on that day or later
date=lt2026-01-02T03:04:05.5Z
date=ne2026-01          in any other month
date=ap2026-01          in January, or as far from it as a tenth of the time since then
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app.errors import InvalidParameter
from app.index.audit_search import Outside

PREFIXES = ("eq", "ne", "ge", "gt", "le", "lt", "sa", "eb", "ap")

_DATE = re.compile(
    rf"(?P<prefix>{'|'.join(PREFIXES)})?"
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)"
    r"(?:T(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d{1,6})\d*)?)?"
    r"(?P<zone>Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """From a moment on, and up to another, which is no part of it; None for no bound."""

    since: datetime | None = None
    until: datetime | None = None
    outside: tuple[Outside, ...] = ()

    def narrowed(self, other: "Bounds") -> "Bounds":
        """What lies in both."""
        sinces = [at for at in (self.since, other.since) if at is not None]
        untils = [at for at in (self.until, other.until) if at is not None]
        outside = self.outside + other.outside
        return Bounds(max(sinces, default=None), min(untils, default=None), outside)


def bounds_of(name: str, value: str, now: datetime) -> Bounds:
    """What a value of a date parameter asks for at this moment; without a zone, in UTC.

    Raises `InvalidParameter`.
    """
    match = _DATE.fullmatch(value)
    if match is None:
        raise InvalidParameter(name, value, "is no date of FHIR, or has a prefix other than these")
    try:
        first, last = (moment.astimezone(UTC) for moment in _span(match))
        if match["prefix"] == "ap":
            # As FHIR recommends; nothing where the present lies in the span itself.
            margin = max(first - now, now - last, timedelta(0)) / 10
            first, last = first - margin, last + margin
    except (ValueError, OverflowError):
        raise InvalidParameter(name, value, "is no date of the calendar") from None
    match match["prefix"]:
        case "ge":
            return Bounds(since=first)
        case "gt" | "sa":
            return Bounds(since=last)
        case "le":
            return Bounds(until=last)
        case "lt" | "eb":
            return Bounds(until=first)
        case "ne":
            return Bounds(outside=(Outside(first, last),))
        case _:
            return Bounds(first, last)


def _span(match: re.Match[str]) -> tuple[datetime, datetime]:
    """The beginning of what is written, and of what comes after it."""
    year, month, day = int(match["year"]), int(match["month"] or 1), int(match["day"] or 1)
    if match["hour"] is None:
        first = datetime(year, month, day, tzinfo=UTC)
        if match["day"]:
            return first, first + timedelta(days=1)
        if match["month"]:
            return first, datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
        return first, datetime(year + 1, 1, 1, tzinfo=UTC)
    fraction = match["fraction"] or ""
    zone = (match["zone"] or "Z").replace("Z", "+00:00")
    text = f"{year:04}-{month:02}-{day:02}T{match['hour']}:{match['minute']}"
    first = datetime.fromisoformat(f"{text}:{match['second'] or '00'}.{fraction:0<6}{zone}")
    if match["second"] is None:
        return first, first + timedelta(minutes=1)
    return first, first + timedelta(microseconds=10 ** (6 - len(fraction)))
