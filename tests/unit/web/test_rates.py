"""One caller may ask so much; others are not held up by it."""

from typing import Any

import pytest

from app.access.principal import Principal
from app.web import rates
from app.web.errors import TooManyRequests
from app.web.rates import Rates


class Clock:
    """Time as the test says."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(rates, "time", clock)
    return clock


async def nothing(*_: Any) -> None:
    """An application that answers nothing."""


def caller(number: int | None, name: str = "x") -> Principal:
    return Principal(number, name, 1, frozenset())


async def ask(app: Rates, principal: Principal | None) -> bool:
    """Whether the request passes."""
    state = {} if principal is None else {"principal": principal}
    try:
        await app({"type": "http", "state": state}, nothing, nothing)  # type: ignore[arg-type]
    except TooManyRequests:
        return False
    return True


async def test_a_caller_has_so_many_a_second(clock: Clock) -> None:
    app = Rates(nothing, 10)
    assert [await ask(app, caller(1)) for _ in range(12)] == [True] * 10 + [False] * 2
    clock.now += 0.35
    assert [await ask(app, caller(1)) for _ in range(4)] == [True] * 3 + [False]
    clock.now += 100
    assert [await ask(app, caller(1)) for _ in range(11)] == [True] * 10 + [False]


async def test_others_are_not_held_up(clock: Clock) -> None:
    app = Rates(nothing, 1)
    assert await ask(app, caller(1))
    assert not await ask(app, caller(1))
    assert await ask(app, caller(2))
    assert await ask(app, caller(None, "user-1"))
    assert await ask(app, caller(None, "user-2"))
    assert not await ask(app, caller(None, "user-2"))


async def test_without_a_limit_or_a_caller_everything_passes(clock: Clock) -> None:
    unlimited, limited = Rates(nothing, 0), Rates(nothing, 1)
    assert all([await ask(unlimited, caller(1)) for _ in range(1000)])
    assert all([await ask(limited, None) for _ in range(10)])


async def test_callers_cost_bounded_memory(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MOST_CALLERS", 10)
    app = Rates(nothing, 1)
    for number in range(100):
        assert await ask(app, caller(number))
        assert len(app._left) <= 10
