"""Names of blobs."""

from datetime import UTC, datetime

import pytest

from app.blobs.keys import checked, fresh_key


def test_a_fresh_key_lies_under_its_owner_and_its_day() -> None:
    before = datetime.now(UTC)
    owner, day, first, name = fresh_key("p7").split("/")
    assert owner == "p7"
    assert f"{before:%Y%m%d}" <= day <= f"{datetime.now(UTC):%Y%m%d}"
    assert len(name) == 48
    assert name[0] == first


def test_no_two_fresh_keys_are_equal() -> None:
    assert len({fresh_key("p1") for _ in range(1000)}) == 1000


def test_a_fresh_key_is_a_key() -> None:
    key = fresh_key("p1")
    assert checked(key) == key


@pytest.mark.parametrize("bad", ["", "..", "a/../b", "/etc/passwd", "a\n", "a/", "a.claim"])
def test_what_could_leave_the_store_is_no_key(bad: str) -> None:
    with pytest.raises(ValueError, match="not a key"):
        checked(bad)
