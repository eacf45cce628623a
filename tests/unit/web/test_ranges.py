"""Range headers: one range is served, nonsense is ignored, bytes that are not there are refused."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.span import Span
from app.web.errors import RangeNotSatisfiable
from app.web.ranges import content_range, parse_range


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("bytes=0-0", Span(0, 1)),
        ("bytes=0-99", Span(0, 100)),
        ("bytes=0-100", Span(0, 100)),
        ("bytes=10-", Span(10, 90)),
        ("bytes=-1", Span(99, 1)),
        ("bytes=-200", Span(0, 100)),
        ("Bytes = 5-6 ", Span(5, 2)),
    ],
)
def test_one_range(header: str, span: Span) -> None:
    assert parse_range(header, 100) == span


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=5-4",
        "items=0-1",
        "bytes=0-1,3-4",
    ],
)
def test_what_is_no_single_range_asks_for_everything(header: str | None) -> None:
    assert parse_range(header, 100) is None


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0", f"bytes={10**18}-"])
def test_bytes_that_are_not_there_are_refused(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable) as refusal:
        parse_range(header, 100)
    assert refusal.value.length == 100


def test_nothing_has_no_range() -> None:
    with pytest.raises(RangeNotSatisfiable):
        parse_range("bytes=0-", 0)


@pytest.mark.parametrize(
    "header", ["bytes=" + "0-0," * 5000, "bytes=" + "9" * 10_000 + "-", " " * 9999]
)
def test_a_flood_is_ignored_at_once(header: str) -> None:
    began = time.process_time()
    assert parse_range(header, 100) is None
    assert time.process_time() - began < 0.5


@given(st.integers(0, 300), st.integers(0, 300), st.integers(1, 200))
def test_a_range_never_leaves_what_there_is(first: int, last: int, length: int) -> None:
    try:
        span = parse_range(f"bytes={first}-{last}", length)
    except RangeNotSatisfiable:
        assert first >= length
        return
    data = bytes(range(length))
    expected = data[first : last + 1] if first <= last else data
    got = data if span is None else data[span.offset : span.end]
    assert got == expected


def test_content_range() -> None:
    assert content_range(Span(10, 5), 100) == "bytes 10-14/100"


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("bytes=5-18446744073709551616", Span(5, 95)),
        ("bytes=-18446744073709551616", Span(0, 100)),
        ("bytes=0-0000000000000000000009", Span(0, 10)),
    ],
)
def test_a_number_beyond_64_bits_is_still_a_number(header: str, span: Span) -> None:
    assert parse_range(header, 100) == span


def test_a_first_byte_beyond_64_bits_is_past_the_end() -> None:
    with pytest.raises(RangeNotSatisfiable):
        parse_range("bytes=18446744073709551616-", 100)
