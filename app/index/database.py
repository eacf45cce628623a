"""`Database`: the connections of one process to PostgreSQL.

- A session is made to keep what it acknowledges: `synchronous_commit` is on, whatever the server's
  default is. A transaction that is left alone is ended by the server, so that a process that hangs
  holds no lock for ever.
- Connections are lent as they are: with no exchange to begin and none to give them back, reading a
  row costs little more than the row.
- What goes wrong with the database leaves here as an `Unavailable` (see `app.index.failures`).
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import asyncpg
import orjson
import structlog

from app.errors import TooBusy, Unavailable
from app.index.failures import Contended, ours
from app.index.lending import Lender
from app.index.statements import Connection, Prepared, prepare

__all__ = ["Connection", "Database", "Prepared", "asyncpg_url", "prepare"]

T = TypeVar("T")

_SCHEMES = ("postgresql", "postgres", "postgresql+asyncpg")

ATTEMPTS = 5
"""How often `transact` tries before it gives up."""
CONNECT_SECONDS = 10
SLACK_SECONDS = 5
"""How much longer than the server we wait for a statement: beyond that the server is not there."""

log = structlog.get_logger()


class Database:
    """The pool of connections; opened once in each process, after any fork."""

    def __init__(self, lender: Lender) -> None:
        self._lender = lender

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        connections: int,
        statement_seconds: float,
        queue_seconds: float = 5,
    ) -> "Database":
        """Connect to `url` (see `asyncpg_url`). Raises `Unavailable` if the server does not answer.

        `connections`: at most so many. `statement_seconds`: no statement takes longer, and no
        transaction idles longer. `queue_seconds`: no caller waits longer for a connection.
        """
        milliseconds = str(int(statement_seconds * 1000))
        try:
            pool = asyncpg.create_pool(
                asyncpg_url(url),
                min_size=1,
                max_size=connections,
                timeout=CONNECT_SECONDS,
                command_timeout=statement_seconds + SLACK_SECONDS,
                max_cached_statement_lifetime=0,
                server_settings={
                    "application_name": "hilum",
                    "statement_timeout": milliseconds,
                    "idle_in_transaction_session_timeout": milliseconds,
                    "timezone": "UTC",
                    "jit": "off",
                },
                init=_prepare_session,
                reset=_leave_as_it_is,
            )
            with ours(OSError):
                await pool
        except ValueError as error:
            raise Unavailable("The URL of the database cannot be understood.") from error
        database = cls(Lender(pool, queue_seconds))
        async with database.reading() as connection:
            if await connection.fetchval("SHOW fsync") == "off":
                log.warning("the database runs with fsync off: a power cut can lose what is stored")
        return database

    async def close(self) -> None:
        """Close every connection, waiting for those that are in use."""
        await self._lender.close()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """A connection for reading with one statement; several see one moment each.

        Raises `TooBusy` if none becomes free, and `Unavailable`, as all the others here.
        """
        with ours(OSError):
            try:
                connection = await self._lender.take()
            except TimeoutError as error:
                raise TooBusy("No connection to the database became free.") from error
        well = False
        try:
            with ours(TimeoutError):
                yield connection
            well = True
        finally:
            await self._lender.give_back(connection, well=well)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Connection]:
        """A connection for reading; what it sees does not change while it is held."""
        async with (
            self.reading() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection whose changes are committed together at the end, or not at all.

        If `Unavailable` is raised after the last statement, the commit may have happened.
        """
        async with self.reading() as connection, connection.transaction():
            yield connection

    async def transact(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Do the work in a transaction, again if others got in its way, and return what it returns.

        The work does nothing but use its connection, since it may be done more than once.
        """
        for _ in range(ATTEMPTS - 1):
            try:
                return await self._attempt(work)
            except Contended:
                continue
        return await self._attempt(work)

    async def _attempt(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        async with self.transaction() as connection:
            return await work(connection)


def asyncpg_url(url: str) -> str:
    """The URL as asyncpg takes it.

    Understood are `postgresql://user:password@host:port/database?sslmode=…`, `postgres://` and
    `postgresql+asyncpg://`, and `?host=/folder` for a server's socket folder. Raises `Unavailable`.
    """
    scheme, colon, rest = url.partition(":")
    if not colon or scheme not in _SCHEMES:
        raise Unavailable("The URL of the database does not begin with postgresql://.")
    return f"postgresql:{rest}"


async def _prepare_session(connection: Connection) -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: orjson.dumps(value).decode(),
        decoder=orjson.loads,
    )
    # `remote_apply` promises even more than `on`, and stays.
    await connection.execute(
        "SELECT set_config('synchronous_commit', 'on', false)"
        " WHERE current_setting('synchronous_commit') <> 'remote_apply'"
    )


async def _leave_as_it_is(connection: Connection) -> None:
    """Open transactions have ended before a connection comes back, and what was set is set back."""
