"""kill -9 while others read: whoever has got as much as the head of an answer is in the audit."""

import asyncio
import random
import signal
from collections import Counter

import httpx
import pytest

from app.archive import open_archive
from app.audit.verify import verify
from app.faults import Point
from tests.faults.history import CLIENTS, Request, client_of, requests_of, send
from tests.faults.trial import Stage

READS = 60
TIMES = (1, 25, 70)
"""Which time the point is reached: the first, and when several clients are at work."""


@pytest.mark.parametrize("point", [Point.BEFORE_ANSWER, Point.IN_ANSWER])
@pytest.mark.parametrize("time", TIMES)
async def test_no_read_is_without_a_record(stage: Stage, point: Point, time: int) -> None:
    chance = random.Random(f"{point} {time}")
    requests = requests_of(chance)
    server = await stage.start()
    async with client_of(server.base, stage.token) as client:
        for request in requests:
            assert await send(client, request) == 200
    await asyncio.to_thread(server.end)

    server = await stage.start(f"{point}:kill:{time}")
    answered: Counter[str] = Counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(_read(server.base, stage.token, requests, chance, answered))
    assert await asyncio.to_thread(server.has_died), "the point was not reached"
    await asyncio.to_thread(server.end, signal.SIGKILL)

    archive = await open_archive(stage.settings)
    try:
        async with archive.reading() as connection:
            rows = await connection.fetch("SELECT request_id, patient_id FROM audit")
            report = await verify(connection)
    finally:
        await archive.close()
    records = Counter(row["request_id"] for row in rows)
    assert {id_: records[id_] for id_ in answered} == dict.fromkeys(answered, 1)
    assert not report.damages
    assert all(row["patient_id"] for row in rows if row["request_id"] in answered)
    if time > 1:
        assert answered, "nobody has heard anything"


async def _read(
    base: str, token: str, requests: list[Request], chance: random.Random, heard: Counter[str]
) -> None:
    """Read this and that until nobody answers; the ids of answers whose head has come."""
    things = [sent for request in requests for sent in request]
    async with client_of(base, token) as client:
        for _ in range(READS):
            sent = chance.choice(things)
            path = chance.choice(
                [f"{sent.path}/frames/1", f"{sent.path}/metadata", sent.path, sent.series_path]
            )
            try:
                async with client.stream("GET", path, headers={"Accept": "*/*"}) as answer:
                    assert answer.status_code == 200
                    heard[answer.headers["x-request-id"]] += 1
                    await answer.aread()
            except httpx.TransportError:
                return
