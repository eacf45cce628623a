"""`Archive`: what every door and every service is handed. Only wiring, no decisions."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TypeVar

from app.blobs.cache import Cache
from app.blobs.contract import BlobStore
from app.blobs.keys import fresh_stem
from app.blobs.open import open_blobs
from app.errors import Unavailable
from app.gate import Gate
from app.index.database import Connection, Database
from app.index.embedded import running_url
from app.index.reservations import Reservations
from app.index.totals import Totals
from app.index.writer import Writer
from app.sandbox.pool import Allowance, Sandbox
from app.settings import Limits, Settings

LOOKING_AT_ONCE = 2
"""Searches that look through metadata in this process: more would only share its processor."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Archive:
    """The index and the blobs of one archive, opened by this process.

    A service holds a connection for as long as it talks to the index, and never while bytes flow
    to a caller.
    """

    settings: Settings
    blobs: BlobStore
    database: Database
    writer: Writer
    """Adds instances, those of requests that come together in one transaction."""
    reservations: Reservations
    """Keys for new blobs."""
    sandbox: Sandbox
    """Where frames are decoded."""
    cache: Cache
    """What was rendered before."""
    looking: Gate
    """For searches that look through metadata."""
    totals: Totals = field(default_factory=Totals)
    """How many match a search, as far as this process remembers."""

    def reading(self) -> AbstractAsyncContextManager[Connection]:
        """A connection for one statement that reads; several see one moment each."""
        return self.database.reading()

    def writing(self) -> AbstractAsyncContextManager[Connection]:
        """A connection on which every statement is committed by itself."""
        return self.database.reading()

    def snapshot(self) -> AbstractAsyncContextManager[Connection]:
        """A connection for reading; what it sees does not change while it is held."""
        return self.database.snapshot()

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """A connection whose changes are committed together at the end, or not at all."""
        return self.database.transaction()

    async def transact(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Do the work in a transaction, again if others got in its way, and return what it returns.

        The work does nothing but use its connection, since it may be done more than once.
        """
        return await self.database.transact(work)

    async def close(self) -> None:
        """Let go of every connection, file and child process."""
        await self.sandbox.close()
        await self.cache.close()
        await self.reservations.close()
        await self.blobs.close()
        await self.database.close()


async def open_archive(settings: Settings) -> Archive:
    """Open the index and the blobs that the settings name.

    Without a database in the settings it is the embedded one of the data folder, if that runs.
    Raises `ValueError` if the settings name no store of blobs, and `Unavailable` if a folder cannot
    be used or a database does not answer.
    """
    # Before the database, whose connections nobody would close if this fails.
    blobs = open_blobs(settings.blobs_url, settings.data_dir)
    database = await Database.open(
        _database_url(settings),
        connections=settings.database_connections,
        statement_seconds=settings.limits.statement_seconds,
        queue_seconds=settings.limits.queue_seconds,
    )
    return Archive(
        settings,
        blobs,
        database,
        Writer(database),
        Reservations(database, fresh_stem),
        _sandbox(settings.limits),
        Cache(settings.data_dir / "cache", settings.limits.cache_bytes),
        Gate(LOOKING_AT_ONCE, settings.limits.queue_seconds),
    )


def _sandbox(limits: Limits) -> Sandbox:
    return Sandbox(
        limits.concurrent_renders,
        Allowance(limits.render_seconds, limits.render_memory_bytes),
        queue_seconds=limits.queue_seconds,
        modules=["app.dicom.drawing", "app.dicom.recoding"],
    )


def _database_url(settings: Settings) -> str:
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    url = running_url(settings.data_dir)
    if url is None:
        raise Unavailable("No database: set HILUM_DATABASE_URL, or start with `hilum serve`.")
    return url
