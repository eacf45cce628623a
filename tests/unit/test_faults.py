"""Points at which tests let the process fail: off unless armed, and then exactly once."""

from collections.abc import Iterator

import pytest

from app.faults import Point, arm, reach


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    arm(None)


def test_nothing_happens_at_a_point_that_nobody_has_armed() -> None:
    arm(None)
    for point in Point:
        reach(point)


def test_a_point_fails_the_time_that_was_chosen_and_never_again() -> None:
    arm("F8:raise:2")
    reach(Point.AFTER_PUT)
    reach(Point.IN_TRANSACTION)
    with pytest.raises(RuntimeError):
        reach(Point.AFTER_PUT)
    reach(Point.AFTER_PUT)


@pytest.mark.parametrize("plan", ["F8", "F99:kill:1", "F8:explode:1", "F8:kill:soon"])
def test_a_plan_that_means_nothing_is_refused(plan: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        arm(plan)
