"""`Trail`: writes the records of the audit. What it has not written has not happened.

A record is in the database when `record` returns, or `AuditUnavailable` is raised and the request
must not be answered as if nothing were wrong. Requests that run at the same time in one partition
share a commit: while one batch is being written, the next one gathers.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

import structlog

from app.archive import Archive
from app.audit import chain
from app.audit.event import AuditEvent
from app.audit.overrides import through
from app.audit.patients import Patients
from app.errors import Unavailable
from app.index import audits
from app.index.database import Connection
from app.index.failures import REFUSED
from app.index.overrides import Override

BATCH = 256
"""Requests whose records are written together."""
WAITING = 4096
"""Requests whose records may wait at once; beyond that the database is too slow to go on."""
WRITE_SECONDS = 10


class AuditUnavailable(Unavailable):
    """The audit cannot be written at the moment, so nothing is answered."""


_Waiting = tuple[Sequence[AuditEvent], Sequence[Override], "asyncio.Future[None]"]
"""The records of one request, what was open to its caller, and who waits for them."""


class Trail:
    """The audit of one process."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._log = structlog.get_logger()
        self._waiting: deque[_Waiting] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._patients = Patients()

    async def record(self, *events: AuditEvent, opened: Sequence[Override] = ()) -> None:
        """Return when the events of a request, of one partition, are on stable storage.

        `opened`: the emergency overrides through which its caller may have seen what they tell of.
        Raises `AuditUnavailable` if they are not.
        """
        if len(self._waiting) >= WAITING:
            raise AuditUnavailable
        written = asyncio.get_running_loop().create_future()
        self._waiting.append((events, opened, written))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all())
        await written

    async def close(self) -> None:
        """Write what is still waiting."""
        if self._writer is not None:
            await self._writer

    async def _write_all(self) -> None:
        """Write until nothing waits, on one connection as long as that goes well."""
        while self._waiting:
            batch: list[_Waiting] = []
            try:
                async with self._archive.writing() as connection:
                    while self._waiting:
                        batch = self._take_of_one_partition()
                        await self._write(connection, batch)
            # Whatever it was: the records are not there, and the next ones would fare no better.
            except Exception as error:
                self._log.error("the audit cannot be written", error=type(error).__qualname__)
                _settle(batch + self._take(WAITING), AuditUnavailable)
        self._writer = None

    async def _write(self, connection: Connection, batch: list[_Waiting]) -> None:
        """Write the records of a batch; what the database refuses costs no other its record."""
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await _append(connection, await self._told(connection, batch))
        except REFUSED as error:
            if len(batch) > 1:
                for one in batch:
                    await self._write(connection, [one])
                return
            self._log.error("a record cannot be written", error=type(error).__qualname__)
            _settle(batch, AuditUnavailable)
        else:
            _settle(batch, None)

    async def _told(self, connection: Connection, batch: Sequence[_Waiting]) -> list[AuditEvent]:
        told = [(event, opened) for events, opened, _ in batch for event in events]
        events = await self._patients.told(connection, [event for event, _ in told])
        return [
            through(event, opened) if opened else event
            for event, (_, opened) in zip(events, told, strict=True)
        ]

    def _take_of_one_partition(self) -> list[_Waiting]:
        """Those that can be appended together; the others keep their order."""
        partition_id = self._waiting[0][0][0].partition_id
        batch: list[_Waiting] = []
        others: deque[_Waiting] = deque()
        while self._waiting and len(batch) < BATCH:
            one = self._waiting.popleft()
            (batch if one[0][0].partition_id == partition_id else others).append(one)
        self._waiting.extendleft(reversed(others))
        return batch

    def _take(self, most: int) -> list[_Waiting]:
        return [self._waiting.popleft() for _ in range(min(len(self._waiting), most))]


async def append(connection: Connection, events: Sequence[AuditEvent]) -> None:
    """Write records of one partition with what else the transaction of the connection does.

    Nobody else writes in that partition until it ends, so this is the last that it does.
    """
    await _append(connection, await Patients().told(connection, events))


async def _append(connection: Connection, events: Sequence[AuditEvent]) -> None:
    partition_id = events[0].partition_id
    records = [chain.canonical(event) for event in events]
    digests = [chain.digest_of(record) for record in records]
    await audits.append(connection, partition_id, chain.genesis(partition_id), records, digests)


def _settle(batch: list[_Waiting], failure: type[AuditUnavailable] | None) -> None:
    """Tell those who wait for their records; some may have left, or know already."""
    for _, _, written in batch:
        if written.done():
            continue
        if failure is None:
            written.set_result(None)
        else:
            written.set_exception(failure())
