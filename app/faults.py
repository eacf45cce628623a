"""Points of the Store transaction, and of sweeping, at which a test can let the process fail.

Every promise of the archive must hold if it is killed at any of them. Nothing happens at a point
unless whoever starts the process has named it in the environment, as POINT:ACTION:TIME. `F8:kill:3`
is `kill -9` when F8 is reached for the third time. No request and no setting leads here.
"""

import errno
import os
import signal
from collections.abc import Callable
from enum import StrEnum

VARIABLE = "FAULT_OF_TEST"


class Point(StrEnum):
    """Where a process can fail, in the order in which a store passes."""

    HEADERS_READ = "F1"
    IN_A_PART = "F2"
    BETWEEN_PARTS = "F3"
    RECEIVED = "F4"
    WALKED = "F5"
    BEFORE_PUT = "F6"
    IN_PUT = "F7"
    AFTER_PUT = "F8"
    IN_TRANSACTION = "F9"
    AFTER_COMMIT = "F10"
    BEFORE_ANSWER = "F11"
    IN_ANSWER = "F12"

    ON_DISK = "D1"
    """Before bytes of a part are written to the disk."""

    SWEEP_TAKEN = "S1"
    SWEEP_CHECKED = "S2"
    SWEEP_DELETED = "S3"


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _raise() -> None:
    raise RuntimeError("a fault of a test")


def _full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


ACTIONS: dict[str, Callable[[], None]] = {
    "kill": _kill,
    "stop": _stop,
    "raise": _raise,
    "full": _full,
}


class _Plan:
    def __init__(self, plan: str) -> None:
        point, action, time = plan.split(":")
        self._point = Point(point)
        self._act = ACTIONS[action]
        self._left = int(time)

    def reached(self, point: Point) -> None:
        if point is self._point:
            self._left -= 1
            if self._left == 0:
                self._act()


_plan: _Plan | None = None


def arm(plan: str | None) -> None:
    """Let the process fail by this plan from now on; None: not at all."""
    global _plan  # noqa: PLW0603  (one process, one plan)
    _plan = _Plan(plan) if plan else None


def reach(point: Point) -> None:
    """Say that the point has been reached; almost always that is all."""
    if _plan is not None:
        _plan.reached(point)


arm(os.environ.get(VARIABLE))
