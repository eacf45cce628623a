"""`Trail`: writes the records of the audit. What it has not written has not happened.

A record is in the database when `record` returns, or `AuditUnavailable` is raised and the request
must not be answered as if nothing were wrong. Requests that run at the same time share a
transaction: while one batch is being committed, the next one gathers.
"""

import asyncio
from collections import deque

import structlog

from app.archive import Archive
from app.audit.event import AuditEvent
from app.errors import Unavailable
from app.index import audits

log = structlog.get_logger()

BATCH = 256
WAITING = 4096
"""Records that may wait at once; beyond that the database is too slow to go on."""
WRITE_SECONDS = 10


class AuditUnavailable(Unavailable):
    """The audit cannot be written at the moment, so nothing is answered."""


class Trail:
    """The audit of one process."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._waiting: deque[tuple[AuditEvent, asyncio.Future[None]]] = deque()
        self._writer: asyncio.Task[None] | None = None

    async def record(self, event: AuditEvent) -> None:
        """Return when the event is on stable storage. Raises `AuditUnavailable` if it is not."""
        if len(self._waiting) >= WAITING:
            raise AuditUnavailable
        written = asyncio.get_running_loop().create_future()
        self._waiting.append((event, written))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all())
        await written

    async def close(self) -> None:
        """Write what is still waiting."""
        if self._writer is not None:
            await self._writer

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                size = min(len(self._waiting), BATCH)
                await self._write([self._waiting.popleft() for _ in range(size)])
        finally:
            self._writer = None

    async def _write(self, batch: list[tuple[AuditEvent, asyncio.Future[None]]]) -> None:
        failed = False
        try:
            async with asyncio.timeout(WRITE_SECONDS), self._archive.transaction() as connection:
                await audits.add(connection, [event for event, _ in batch])
        # Whatever it was: the record is not there.
        except Exception as error:
            log.error(  # noqa: TRY400 - the message may quote a value
                "the audit cannot be written", error=type(error).__qualname__
            )
            failed = True
        for _, written in batch:
            if written.cancelled():
                continue
            if failed:
                written.set_exception(AuditUnavailable())
            else:
                written.set_result(None)
