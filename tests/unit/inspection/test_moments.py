"""Dates are spans of time, as exact as they are written."""

from datetime import UTC, datetime

import pytest

from app.errors import InvalidParameter
from app.inspection.moments import Bounds, bounds_of


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


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
    assert bounds_of("date", value) == bounds


@pytest.mark.parametrize(
    "value",
    [
        *("", "x", "ap2026", "ne2026", "26", "2026-13", "2026-02-30", "2026-01-31T10", "0000"),
        *("9999", "2026-01-31T25:00", "2026-01-31 10:20", "٢٠٢٦", "ge", "2026-1-1"),
        *("le0001-01-01T00:00+14:00", "ge9999-12-31T20:00-10:00"),
    ],
)
def test_what_is_no_date_is_refused(value: str) -> None:
    with pytest.raises(InvalidParameter, match="date="):
        bounds_of("date", value)


def test_several_narrow_one_another() -> None:
    both = bounds_of("date", "ge2026-01-31").narrowed(bounds_of("date", "lt2026-02-01"))
    assert both == Bounds(DAY, NEXT)
    assert Bounds(DAY, NEXT).narrowed(Bounds(at(2026, 1, 1), at(2026, 1, 2))) == Bounds(
        DAY, at(2026, 1, 2)
    )
