"""A gate lets in as many as it has places, and sends away who waits too long."""

import asyncio

import pytest

from app.errors import TooBusy
from app.gate import Gate


async def test_a_gate_lets_only_so_many_in() -> None:
    gate, inside, most = Gate(2, wait_seconds=5), 0, 0

    async def work() -> None:
        nonlocal inside, most
        async with gate.turn():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.001)
            inside -= 1

    await asyncio.gather(*(work() for _ in range(10)))
    assert most == 2


async def test_who_waits_too_long_at_a_gate_is_sent_away() -> None:
    gate = Gate(1, wait_seconds=0.01)
    async with gate.turn():
        with pytest.raises(TooBusy) as refusal:
            async with gate.turn():
                raise AssertionError("two inside")
    assert 1 <= refusal.value.retry_after <= 10
    async with gate.turn():
        pass
