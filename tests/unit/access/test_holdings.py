"""For how long it is remembered what a caller is granted."""

from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from app.access import holdings
from app.access.holdings import Holdings
from app.index.grants import Held
from app.index.restriction import Depth


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.mark.parametrize(("takes", "remembered"), [(0.001, 2), (0.1, 10), (3, 30)])
async def test_what_takes_long_to_look_up_is_remembered_for_longer(
    monkeypatch: pytest.MonkeyPatch, takes: float, remembered: float
) -> None:
    clock, looked = Clock(), 0

    async def held(*_: Any) -> Held:
        nonlocal looked
        looked += 1
        clock.now += takes
        return Held(Depth.STUDY, (), ())

    @asynccontextmanager
    async def reading() -> Any:
        yield None

    monkeypatch.setattr(holdings, "time", clock)
    monkeypatch.setattr("app.index.grants.held", held)
    known = Holdings(SimpleNamespace(reading=reading))  # type: ignore[arg-type]
    await known.granted(1, ("token:1",))
    clock.now += remembered - 0.01
    await known.granted(1, ("token:1",))
    assert looked == 1
    clock.now += 0.02
    await known.granted(1, ("token:1",))
    assert looked == 2
