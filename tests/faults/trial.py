"""One trial: an archive at work meets a fault, and after it every promise must hold.

1.  Clients send instances to a server; it is killed, or what it stands on is.
2.  A new server is asked for all of them: what was acknowledged is there, byte for byte (I1);
    nothing is half there (I2).
3.  The keys of the dead are swept: of what is unknown, the same is there as before (I3).
4.  What is unknown is sent again: all of it is acknowledged and there.
5.  The server is asked to end, what is left is swept, and a check finds nothing wrong: blobs are
    those of the index (I4), counts are right (I5), each commit is told once (I7), the audit is
    whole and has one record of each answer (I6).
"""

import asyncio
import signal
from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.archive import Archive, open_archive
from app.settings import Settings
from app.store.recorded import IN_PART
from app.upkeep.check import Check, Options
from app.upkeep.findings import Finding
from app.upkeep.sweep import ROUNDS, sweep
from tests.faults.history import Heard, Request, look_at_all, send_all
from tests.faults.nursery import Nursery, ServerProcess


@dataclass(frozen=True)
class Stage:
    """Where trials are held: a database, a store of blobs, and servers over both."""

    nursery: Nursery
    settings: Settings
    """As the trial opens the archive itself."""
    environment: dict[str, str]
    """As its servers do, perhaps through proxies."""
    token: str

    async def start(self, fault: str | None = None, last_seconds: float = 10) -> ServerProcess:
        """A server that is ready. Waits in a thread: a proxy that it needs may be one of ours."""
        start = self.nursery.start
        return await asyncio.to_thread(start, self.environment, fault, last_seconds)


@dataclass(frozen=True)
class Result:
    """What came of a trial in which every promise was held."""

    met: bool
    """Whether the fault was met: the server died of it, or a client noticed."""
    sent: int
    acknowledged: int
    """Before the fault, or in spite of it."""
    unknown_there: int
    """Of unknown outcome, and there."""


QUIET_SECONDS = 0.5
"""In which a put of these small instances arrives."""

Disturb = Callable[[ServerProcess], Coroutine[Any, Any, None]]


async def trial(
    stage: Stage,
    requests: Sequence[Request],
    *,
    fault: str | None = None,
    disturb: Disturb | None = None,
    calm: Callable[[], None] = lambda: None,
) -> Result:
    """Hold a trial: the fault is armed in the server, or done to it by `disturb` meanwhile.

    `calm` ends what `disturb` has begun.
    """
    began = await now(stage)
    everything = [sent for request in requests for sent in request]
    server = await stage.start(fault)
    await _disturbed(stage, server, requests, disturb)
    calm()
    acknowledged = sum(sent.heard is Heard.STORED for sent in everything)
    died = not server.lives
    await asyncio.to_thread(server.end, signal.SIGKILL)

    server = await stage.start()
    there = await look_at_all(server.base, stage.token, everything)
    await sweep_the_dead(stage)
    unknown = [sent for sent in everything if sent.heard is Heard.UNKNOWN]
    there_still = await look_at_all(server.base, stage.token, unknown)
    assert there_still == there & {sent.uid for sent in unknown}, "it is not stable"
    await send_again(stage, server, requests)
    there_now = await look_at_all(server.base, stage.token, unknown)
    assert there_now == {sent.uid for sent in unknown}
    await asyncio.to_thread(server.end)
    await assert_whole(stage, began)
    await assert_audited(stage, began, {id_ for sent in everything for id_ in sent.answers})
    return Result(
        died or acknowledged < len(everything),
        len(everything),
        acknowledged,
        len(there) - acknowledged,
    )


async def _disturbed(
    stage: Stage, server: ServerProcess, requests: Sequence[Request], disturb: Disturb | None
) -> None:
    if disturb is None:
        await send_all(server.base, stage.token, requests)
        return
    async with asyncio.TaskGroup() as group:
        group.create_task(send_all(server.base, stage.token, requests))
        group.create_task(disturb(server))


async def send_again(stage: Stage, server: ServerProcess, requests: Sequence[Request]) -> None:
    """Send what is not acknowledged yet, once more; all of it is, then."""
    left = [request for request in requests if any(s.heard is Heard.UNKNOWN for s in request)]
    await send_all(server.base, stage.token, left)
    unknown = [sent.path for request in left for sent in request if sent.heard is Heard.UNKNOWN]
    assert not unknown, f"refused after the fault is over: {unknown} {server.said}"


async def sweep_the_dead(stage: Stage, *, most: int = ROUNDS) -> None:
    """Sweep as if leases were over, each upload so often at `most`.

    Where somebody may be storing it is once: no put takes as long as it is to the second time.
    """
    archive = await open_archive(stage.settings)
    try:
        await _all_that_was_on_its_way(archive)
        for _ in range(most):
            await _end_leases(archive, most)
            await sweep(archive)
    finally:
        await archive.close()


async def _all_that_was_on_its_way(archive: Archive) -> None:
    """Return when no more blobs arrive: a put goes on in the object store when its sender is dead,
    and is long over when its lease is."""
    before, there = None, await _keys(archive)
    while there != before:
        await asyncio.sleep(QUIET_SECONDS)
        before, there = there, await _keys(archive)


async def _keys(archive: Archive) -> set[str]:
    return {blob.key async for blob in archive.blobs.list()}


async def end_leases(stage: Stage) -> None:
    """Let the leases of all uploads be over."""
    archive = await open_archive(stage.settings)
    try:
        await _end_leases(archive, ROUNDS)
    finally:
        await archive.close()


async def _end_leases(archive: Archive, most: int) -> None:
    async with archive.writing() as connection:
        await connection.execute(
            "UPDATE upload SET lease_until = now() - interval '1 second' WHERE fence < $1", most
        )


async def assert_whole(stage: Stage, since: datetime) -> None:
    """Nothing is left behind, and a check finds nothing wrong. No server is there any more."""
    archive = await open_archive(stage.settings)
    try:
        for _ in range(ROUNDS):
            await _end_leases(archive, ROUNDS)
            await sweep(archive)
        found = await checked(archive, since)
        assert not found, f"a check finds {found}"
        async with archive.reading() as connection:
            rows = await connection.fetch("SELECT blob_key FROM instance")
            assert not await connection.fetchval("SELECT count(*) FROM upload")
        assert await _keys(archive) == {row[0] for row in rows}
    finally:
        await archive.close()


async def assert_audited(stage: Stage, since: datetime, request_ids: set[str]) -> None:
    """Of each request that was answered there is a record in the audit; a store may have another
    one before, which says that it is not over."""
    archive = await open_archive(stage.settings)
    try:
        async with archive.reading() as connection:
            rows = await connection.fetch(
                "SELECT request_id, status FROM audit WHERE at >= $1 ORDER BY sequence", since
            )
    finally:
        await archive.close()
    records: dict[str, list[int]] = defaultdict(list)
    for request_id, status in rows:
        records[request_id].append(status)
    told = [records[request_id] for request_id in request_ids]
    assert all(len(statuses) == 1 or statuses[:-1] == [IN_PART] for statuses in told), told


async def checked(archive: Archive, since: datetime | None = None) -> list[Finding]:
    """What a check finds wrong."""
    return [finding async for finding in Check(archive, Options(since=since)).findings()]


async def now(stage: Stage) -> datetime:
    """By the clock of the database."""
    archive = await open_archive(stage.settings)
    try:
        async with archive.reading() as connection:
            moment: datetime = await connection.fetchval("SELECT now()")
        return moment
    finally:
        await archive.close()
