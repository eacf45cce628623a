"""How many processes serve an archive."""

import os

import pytest

from app.settings import Settings


@pytest.mark.parametrize(("cores", "processes"), [(1, 1), (3, 3), (64, 4)])
def test_there_is_one_for_each_core_up_to_four(
    monkeypatch: pytest.MonkeyPatch, cores: int, processes: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    assert Settings().processes == processes


def test_the_setting_says_otherwise() -> None:
    assert Settings(workers=7).processes == 7


def test_blobs_in_memory_are_those_of_one_process() -> None:
    assert Settings(blobs_url="memory://").processes == 1
