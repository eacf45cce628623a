"""kill -9 while instances are replaced: each is wholly what it was, or what was sent last."""

import asyncio
import random
import signal
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

import httpx
import pytest
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO

from app.faults import Point
from tests.factories import part10
from tests.faults.history import (
    AS_STORED,
    Heard,
    Request,
    Sent,
    client_of,
    requests_of,
    send_all,
)
from tests.faults.nursery import ServerProcess
from tests.faults.trial import Stage, assert_whole, now, sweep_the_dead
from tests.messages import parts_of

POINTS = [Point.BEFORE_PUT, Point.AFTER_PUT, Point.IN_TRANSACTION, Point.AFTER_COMMIT]


@pytest.mark.parametrize("point", [*POINTS, Point.BEFORE_ANSWER])
async def test_of_the_server_while_it_replaces(stage: Stage, point: Point) -> None:
    began = await now(stage)
    replacing = {"HILUM_DUPLICATES": "replace"}
    stage = replace(stage, environment=stage.environment | replacing)
    chance = random.Random(point)
    first = requests_of(chance)
    server = await stage.start()
    await send_all(server.base, stage.token, first)
    await asyncio.to_thread(server.end)
    second = [[other(sent, chance) for sent in request] for request in first]
    server = await stage.start(f"{point}:kill:2")
    await send_all(server.base, stage.token, second)
    assert server.has_died(), "the point was not reached"
    server = await stage.start()
    before = await replaced(stage, server, first, second)
    await sweep_the_dead(stage)
    assert await replaced(stage, server, first, second) == before, "it is not stable"
    await send_all(server.base, stage.token, second)
    everything = {sent.uid for sent in flat(second)}
    assert await replaced(stage, server, first, second) == everything
    await asyncio.to_thread(server.end, signal.SIGTERM)
    await assert_whole(stage, began)


def other(sent: Sent, chance: random.Random) -> Sent:
    """The same instance with other pixels."""
    dataset = dcmread(DicomBytesIO(sent.file))
    dataset.PixelData = chance.randbytes(len(sent.pixels))
    return Sent.of(part10(dataset))


async def replaced(
    stage: Stage, server: ServerProcess, first: Sequence[Request], second: Sequence[Request]
) -> set[str]:
    """The UIDs of those in whose place the second is; of the others the first is there alone."""
    uids = set()
    async with client_of(server.base, stage.token) as client:
        for old, new in zip(flat(first), flat(second), strict=True):
            versions = (await client.get(f"{old.path}/versions")).json()
            there = new if len(versions) == 2 else old
            await _is_there(client, there)
            assert there is new or new.heard is Heard.UNKNOWN, f"lost: {new.path}"
            if there is new:
                uids.add(new.uid)
                earlier = await client.get(f"{old.path}/versions/1", headers=AS_STORED)
                assert earlier.content == old.file
    return uids


def flat(requests: Sequence[Request]) -> list[Sent]:
    """The instances of all requests."""
    return list(chain.from_iterable(requests))


async def _is_there(client: httpx.AsyncClient, sent: Sent) -> None:
    stored = await client.get(sent.path, headers=AS_STORED)
    assert stored.content == sent.file, f"changed: {sent.path}"
    assert parts_of(await client.get(f"{sent.path}/frames/1")) == [sent.pixels]
