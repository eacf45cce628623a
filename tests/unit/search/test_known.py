"""A page of instances takes little memory, however long the DICOM JSON of each is."""

import pytest

from app.dicom.jsonmodel import dumps, pack
from app.errors import TooLarge
from app.search.known import LONGEST_JSON, MOST_JSON, KnownInstances

URL = "http://archive/studies/1"


def packed(length: int) -> bytes:
    """Packed DICOM JSON of this length."""
    empty = len(dumps({"00091001": {"vr": "LO", "Value": [""]}}))
    return pack({"00091001": {"vr": "LO", "Value": ["x" * (length - empty)]}})


@pytest.mark.parametrize(
    ("length", "left_out"), [(LONGEST_JSON - 1, 0), (LONGEST_JSON, 0), (LONGEST_JSON + 1, 1)]
)
def test_what_is_too_long_is_left_out(length: int, left_out: int) -> None:
    known = KnownInstances(everything=True)
    assert bool(known.read(packed(length), URL)) == (not left_out)
    assert known.left_out == left_out


def test_what_was_too_long_to_be_read_is_left_out() -> None:
    known = KnownInstances(everything=True)
    assert known.read(None, URL) == {}
    assert known.left_out == 1


def test_all_of_too_many_is_refused_and_some_of_them_is_not() -> None:
    one = packed(LONGEST_JSON)
    everything, some = (KnownInstances(everything=whole) for whole in (True, False))
    for _ in range(MOST_JSON // LONGEST_JSON):
        everything.read(one, URL)
        some.read(one, URL)
    some.read(one, URL)
    with pytest.raises(TooLarge):
        everything.read(one, URL)
