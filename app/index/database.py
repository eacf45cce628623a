"""`Database`: the pool of connections, and statements compiled once.

Statements are written in SQLAlchemy Core over the tables of `app.index.tables`; `prepare` turns one
into the text that asyncpg runs. There is no session and no engine on the path of a request.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from sqlalchemy.dialects.postgresql import asyncpg as dialect
from sqlalchemy.sql import Executable
from sqlalchemy.sql.compiler import SQLCompiler

from app.errors import Unavailable

Connection = Any
"""A connection of asyncpg, on loan from the pool."""

_LOST = (OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError, TimeoutError)


class Prepared:
    """A statement as text with numbered parameters, and the names that they go by."""

    def __init__(self, sql: str, names: tuple[str, ...], fixed: dict[str, Any]) -> None:
        self.sql = sql
        self._names = names
        self._fixed = fixed

    def _values(self, parameters: dict[str, Any]) -> list[Any]:
        given = self._fixed | parameters
        return [given[name] for name in self._names]

    async def fetch(self, connection: Connection, **parameters: Any) -> list[Any]:
        """Every row of the result."""
        rows: list[Any] = await connection.fetch(self.sql, *self._values(parameters))
        return rows

    async def fetchrow(self, connection: Connection, **parameters: Any) -> Any:
        """The first row of the result, or None."""
        return await connection.fetchrow(self.sql, *self._values(parameters))

    async def fetchval(self, connection: Connection, **parameters: Any) -> Any:
        """The first value of the first row, or None."""
        return await connection.fetchval(self.sql, *self._values(parameters))

    async def execute(self, connection: Connection, **parameters: Any) -> None:
        """Run the statement for its effect."""
        await connection.execute(self.sql, *self._values(parameters))


def prepare(statement: Executable) -> Prepared:
    """Compile a Core statement; its bind parameters without a value are given at each call."""
    compiled = statement.compile(dialect=dialect.dialect())  # type: ignore[no-untyped-call,attr-defined]
    assert isinstance(compiled, SQLCompiler)
    fixed = {name: value for name, value in compiled.params.items() if value is not None}
    return Prepared(str(compiled), tuple(compiled.positiontup or ()), fixed)


class Database:
    """Connections to one PostgreSQL, opened once in each process."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    @classmethod
    async def open(cls, url: str, *, connections: int, statement_seconds: float) -> "Database":
        """Connect; raises `Unavailable` if the server does not answer.

        `synchronous_commit` is forced on: what has been acknowledged survives a crash.
        """
        try:
            pool = await asyncpg.create_pool(
                _plain(url),
                min_size=1,
                max_size=connections,
                server_settings={
                    "application_name": "hilum",
                    "synchronous_commit": "on",
                    "statement_timeout": str(int(statement_seconds * 1000)),
                },
            )
        except (*_LOST, asyncpg.PostgresError) as error:
            raise Unavailable("The database does not answer.") from error
        return cls(pool)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Connection]:
        """A connection for reading. Raises `Unavailable` if none can be had."""
        async with self._connection() as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection whose changes are committed together at the end, or not at all."""
        async with self._connection() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        try:
            async with self._pool.acquire() as connection:
                yield connection
        except _LOST as error:
            raise Unavailable("The database does not answer.") from error

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()


def _plain(url: str) -> str:
    """The URL as asyncpg takes it, without the name of a driver."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(scheme=parts.scheme.split("+")[0]))
