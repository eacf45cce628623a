"""Dates are spans of time, as exact as they are written."""

from datetime import UTC, datetime

import pytest

from app.errors import InvalidParameter
from app.index.audit_search import Outside
from app.inspection.moments import Bounds, bounds_of


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


NOW = at(2026, 3, 2)
DAY, NEXT = at(2026, 1, 31), at(2026, 2, 1)


@pytest.mark.parametrize(
    ("value", "bounds"),
    [
        ("2026", Bounds(at(2026, 1, 1), at(2027, 1, 1))),
        ("2026-12", Bounds(at(2026, 12, 1), at(2027, 1, 1))),
        ("2026-01", Bounds(at(2026, 1, 1), NEXT)),
        ("2026-01-31", Bounds(DAY, NEXT)),
        ("eq2026-01-31", Bounds(DAY, NEXT)),
        ("ge2026-01-31", Bounds(since=DAY)),
        ("gt2026-01-31", Bounds(since=NEXT)),
        ("sa2026-01-31", Bounds(since=NEXT)),
        ("le2026-01-31", Bounds(until=NEXT)),
        ("lt2026-01-31", Bounds(until=DAY)),
        ("eb2026-01-31", Bounds(until=DAY)),
        ("2026-01-31T10:20Z", Bounds(at(2026, 1, 31, 10, 20), at(2026, 1, 31, 10, 21))),
        ("ge2026-01-31T10:20:30+02:00", Bounds(since=at(2026, 1, 31, 8, 20, 30))),
        ("lt2026-01-31T10:20:30.5", Bounds(until=at(2026, 1, 31, 10, 20, 30, 500000))),
        (
            "2026-01-31T10:20:30.123Z",
            Bounds(at(2026, 1, 31, 10, 20, 30, 123000), at(2026, 1, 31, 10, 20, 30, 124000)),
        ),
    ],
)
def test_a_date_is_a_span(value: str, bounds: Bounds) -> None:
    assert bounds_of("date", value, NOW) == bounds


@pytest.mark.parametrize(
    "value",
    [
        *(
            "",
            "x",
            "pa2026",
            "nene2026",
            "ap0001",
            "ap9999",
            "26",
            "2026-13",
            "2026-02-30",
            "2026-01-31T10",
            "0000",
        ),
        *("9999", "2026-01-31T25:00", "2026-01-31 10:20", "٢٠٢٦", "ge", "2026-1-1"),
        *("le0001-01-01T00:00+14:00", "ge9999-12-31T20:00-10:00"),
    ],
)
def test_what_is_no_date_is_refused(value: str) -> None:
    with pytest.raises(InvalidParameter, match="date="):
        bounds_of("date", value, NOW)


def test_several_narrow_one_another() -> None:
    since, until = (bounds_of("date", value, NOW) for value in ("ge2026-01-31", "lt2026-02-01"))
    assert since.narrowed(until) == Bounds(DAY, NEXT)


@pytest.mark.parametrize(
    ("value", "bounds"),
    [
        ("ap2026-02-19", Bounds(at(2026, 2, 18), at(2026, 2, 21))),
        ("ap2026-03-12", Bounds(at(2026, 3, 11), at(2026, 3, 14))),
        ("ap2026-03", Bounds(at(2026, 3, 1), at(2026, 4, 1))),
        ("ap2026-03-02T00:00Z", Bounds(at(2026, 3, 2), at(2026, 3, 2, 0, 1))),
    ],
)
def test_what_is_about_that_time_is_a_tenth_of_the_time_between_away(
    value: str, bounds: Bounds
) -> None:
    assert bounds_of("date", value, NOW) == bounds


def test_what_is_of_another_time_lies_outside_of_it() -> None:
    both = bounds_of("date", "ne2026-01-31", NOW).narrowed(bounds_of("date", "ne2026", NOW))
    year = Outside(at(2026, 1, 1), at(2027, 1, 1))
    assert both == Bounds(outside=(Outside(DAY, NEXT), year))
    assert Bounds(DAY, NEXT).narrowed(Bounds(at(2026, 1, 1), at(2026, 1, 2))) == Bounds(
        DAY, at(2026, 1, 2)
    )
