"""Names of blobs."""

from datetime import UTC, datetime

import pytest

from app.blobs.keys import checked, fresh_stem
from app.index.uploads import key_of


def test_fresh_keys_lie_under_their_partition_and_their_day() -> None:
    before = datetime.now(UTC)
    owner, day, first, name = fresh_stem(7).split("/")
    assert owner == "p7"
    assert f"{before:%Y%m%d}" <= day <= f"{datetime.now(UTC):%Y%m%d}"
    assert len(name) == 48
    assert name[0] == first


def test_no_two_fresh_keys_begin_alike() -> None:
    assert len({fresh_stem(1) for _ in range(1000)}) == 1000


def test_what_is_reserved_under_a_stem_is_a_key() -> None:
    key = key_of(fresh_stem(1), 255)
    assert checked(key) == key


@pytest.mark.parametrize("bad", ["", "..", "a/../b", "/etc/passwd", "a\n", "a/", "a.claim"])
def test_what_could_leave_the_store_is_no_key(bad: str) -> None:
    with pytest.raises(ValueError, match="not a key"):
        checked(bad)
