"""A DT as the span of time that it means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dicom import moments
from app.dicom.moments import Span


@pytest.mark.parametrize(
    ("value", "span"),
    [
        ("2024", Span("20240101000000.000000", "20241231235960.999999")),
        ("202402", Span("20240201000000.000000", "20240229235960.999999")),
        ("202304-0500", Span("20230401000000.000000", "20230430235960.999999", -300)),
        ("000002", Span("00000201000000.000000", "00000229235960.999999")),
        ("20240229", Span("20240229000000.000000", "20240229235960.999999")),
        ("2024022910", Span("20240229100000.000000", "20240229105960.999999")),
        ("20240229101112", Span("20240229101112.000000", "20240229101112.999999")),
        ("20240229101112.25 ", Span("20240229101112.250000", "20240229101112.250000")),
        ("2024-0530", Span("20240101000000.000000", "20241231235960.999999", -330)),
        ("20240229101112+1400", Span("20240229101112.000000", "20240229101112.999999", 840)),
    ],
)
def test_what_a_value_means(value: str, span: Span) -> None:
    assert moments.of_datetime(value) == span


@pytest.mark.parametrize(
    "value", ["", "24", "20241", "20241301", "2024-1500", "2024-0560", "20240229.5", "٢٠٢٤", "x"]
)
def test_what_is_no_datetime_means_nothing(value: str) -> None:
    assert moments.of_datetime(value) is None


@pytest.mark.parametrize(
    ("moment", "minutes", "later"),
    [
        ("20240229235960.999999", 1, "20240301000060.999999"),
        ("20240101000000.000000", -1, "20231231235900.000000"),
        ("20240231120000.000000", 0, "20240302120000.000000"),
        ("00010101000000.000000", -60, "00010101000000.000000"),
        ("99991231230000.000000", 120, "99991231230000.000000"),
    ],
)
def test_moments_move_over_the_ends_of_days_and_years(
    moment: str, minutes: int, later: str
) -> None:
    assert moments.moved(moment, minutes) == later


@given(st.datetimes(), st.integers(-900, 900))
def test_what_is_moved_there_and_back_is_the_same(at: object, minutes: int) -> None:
    moment = f"{at:%Y%m%d%H%M%S.%f}".rjust(21, "0")
    there = moments.moved(moment, minutes)
    if there != moment:
        assert moments.moved(there, -minutes) == moment
    assert len(there) == 21
