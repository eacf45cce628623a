"""Processes that stand still while others go on, and then go on as if nothing had happened."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from tests.faults.history import Heard, client_of, look_at_all, requests_of, send, send_all
from tests.faults.nursery import ROOT, ServerProcess
from tests.faults.trial import (
    Stage,
    assert_whole,
    end_leases,
    now,
    send_again,
    sweep_the_dead,
)


async def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline, "it does not come to that"
        await asyncio.sleep(0.01)


async def test_a_server_that_was_given_up_adds_nothing_when_it_comes_back(stage: Stage) -> None:
    """It stands still between the put of a blob and the commit; meanwhile its keys are swept."""
    began = await now(stage)
    (request, later) = requests_of(random.Random(1))[:2]
    zombie = await stage.start("F8:stop:1")
    async with client_of(zombie.base, stage.token) as client:
        sending = asyncio.create_task(send(client, request))
        await until(lambda: zombie.is_stopped)
        await sweep_the_dead(stage)
        other = await stage.start()
        assert await look_at_all(other.base, stage.token, request) == set()
        zombie.send(signal.SIGCONT)
        assert await sending == 503
        # What it is asked for from now on it stores under keys that are its own.
        await send_again(stage, zombie, [request, later])
    everything = [*request, *later]
    there = await look_at_all(other.base, stage.token, everything)
    assert there == {sent.uid for sent in everything}
    for server in (zombie, other):
        await asyncio.to_thread(server.end)
    await assert_whole(stage, began)


async def test_a_sweeper_that_stands_still_deletes_nothing_that_was_stored_since(
    stage: Stage,
) -> None:
    """It stands still between its check and its delete; a writer commits meanwhile."""
    began = await now(stage)
    requests = requests_of(random.Random(2))
    server = await stage.start("F8:stop:2")
    sending = asyncio.create_task(send_all(server.base, stage.token, requests))
    await until(lambda: server.is_stopped)
    await sweep_the_dead(stage, most=1)
    await end_leases(stage)
    sweeper = _sweeper(stage, "S2:stop:1")
    await until(lambda: _stands_still(sweeper.pid))
    server.send(signal.SIGCONT)
    await sending
    await send_again(stage, server, requests)
    sweeper.send_signal(signal.SIGCONT)
    assert await asyncio.to_thread(sweeper.wait, 30) == 0
    everything = [sent for request in requests for sent in request]
    there = await look_at_all(server.base, stage.token, everything)
    assert there == {sent.uid for sent in everything}
    await asyncio.to_thread(server.end)
    await assert_whole(stage, began)


async def test_two_servers_and_two_sweepers_disturb_nobody(stage: Stage) -> None:
    began = await now(stage)
    chance = random.Random(3)
    requests = [request for _ in range(3) for request in requests_of(chance)]
    servers = [await stage.start(fault) for fault in (None, "F9:kill:9")]
    sweeping = [asyncio.create_task(_keep_sweeping(stage)) for _ in range(2)]
    async with asyncio.TaskGroup() as group:
        for server in servers:
            group.create_task(send_all(server.base, stage.token, requests))
    assert not servers[1].lives
    for one in sweeping:
        one.cancel()
    await asyncio.wait(sweeping)
    # It may still hold keys that were taken from it, and learns so by using them.
    await send_all(servers[0].base, stage.token, requests)
    await send_again(stage, servers[0], requests)
    everything = [sent for request in requests for sent in request]
    there = await look_at_all(servers[0].base, stage.token, everything)
    assert there == {sent.uid for sent in everything}
    assert all(sent.heard is Heard.STORED for sent in everything)
    await asyncio.to_thread(servers[0].end)
    await assert_whole(stage, began)


async def _keep_sweeping(stage: Stage) -> None:
    """Take every upload from whoever has it, again and again."""
    while True:
        await sweep_the_dead(stage, most=1)
        await asyncio.sleep(0.1)


def _sweeper(stage: Stage, fault: str) -> subprocess.Popen[bytes]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("HILUM_")}
    return subprocess.Popen(
        [sys.executable, "-m", "app", "sweep"],
        cwd=stage.settings.data_dir,
        env=inherited | {"PYTHONPATH": str(ROOT), "FAULT_OF_TEST": fault} | stage.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _stands_still(pid: int) -> bool:
    return ServerProcess.state_of(pid) == "T"
