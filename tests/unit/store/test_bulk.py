"""Bulk data are found by their Content-Location, which is written in more than one way."""

import time

import pytest

from app.dicom.assembly import BulkPart
from app.span import Span
from app.store.bulk import BulkParts


def part(number: int) -> BulkPart:
    return BulkPart(Span(number, 1), "image/jpeg")


def parts(*locations: str) -> BulkParts:
    """Parts numbered in their order."""
    found = BulkParts(1 << 22)
    for number, location in enumerate(locations):
        found.add(location, part(number))
    return found


URL = "http://archive:8080/dicomweb/studies/1/bulk/2"


@pytest.mark.parametrize(
    ("location", "uri"),
    [
        ("bulk/2", "bulk/2"),
        (URL, URL),
        ("bulk/2", URL),
        ("2", URL),
        ("./bulk/2", URL),
        ("studies/1/bulk/2", URL),
        ("/dicomweb/studies/1/bulk/2", URL),
        (URL, "bulk/2"),
        (URL, "2"),
        (URL, "./bulk/2"),
        (URL, "/dicomweb/studies/1/bulk/2"),
        (URL, "https://proxy/dicomweb/studies/1/bulk/2"),
        ("bulk/2", "./bulk/2"),
        ("bulk/2?frame=1", "http://archive/bulk/2?frame=1"),
        ("file:/tmp/image.jpg", "file:/tmp/image.jpg"),
        ("image.jpg", "file:/tmp/image.jpg"),
        ("urn:uuid:1234", "urn:uuid:1234"),
        ("a b\u00e4.jpg", "a b\u00e4.jpg"),
    ],
)
def test_a_location_may_be_absolute_or_relative_on_either_side(location: str, uri: str) -> None:
    found = parts("another/thing", location, "http://archive/another")
    assert found.find(uri) == [part(1)]
    assert found.unused() == ["another/thing", "http://archive/another"]


@pytest.mark.parametrize(
    ("location", "uri"),
    [
        ("bulk/2", "bulk/3"),
        ("bulk/2", "2"),
        ("2", "bulk/2"),
        ("ulk/2", URL),
        (URL, "ulk/2"),
        (URL, "http://archive/other/bulk/2"),
        (URL, URL + "/"),
        (URL, ""),
        ("", ""),
        ("", URL),
        ("/", "http://archive/"),
    ],
)
def test_what_is_written_otherwise_is_not_found(location: str, uri: str) -> None:
    found = parts(location)
    assert found.find(uri) == ()
    assert found.unused() == [location]


def test_an_ending_that_two_parts_have_tells_neither() -> None:
    found = parts("http://a/1/bulk", "http://a/2/bulk")
    assert found.find("bulk") == ()
    assert found.find("2/bulk") == [part(1)]


def test_the_longest_relative_location_counts() -> None:
    found = parts("2", "bulk/2")
    assert found.find(URL) == [part(1)]


def test_parts_of_one_location_come_in_their_order() -> None:
    found = parts("frames", "other", "frames")
    assert found.find("frames") == [part(0), part(2)]
    assert found.unused() == ["other"]


def test_what_a_lost_instance_meant_is_not_left_over() -> None:
    found = parts("1", "2", "3")
    found.pass_over(["1", "3", "4"])
    assert found.unused() == ["2"]


def test_long_locations_are_no_trouble() -> None:
    started = time.process_time()
    found = parts(*(f"http://a/{'b/' * 4000}{number}" for number in range(200)))
    assert found.find(f"http://a/{'b/' * 4000}7") == [part(7)]
    assert found.find("b/8") == [part(8)]
    assert found.find("x/" * 100_000) == ()
    assert time.process_time() - started < 2
