"""Statements: written once in SQLAlchemy Core, run many times as text by asyncpg.

Compiling costs about a millisecond, so it happens when a module is loaded, or once for each form of
a statement, never for each request. Values travel as asyncpg takes them, past SQLAlchemy.
"""

from collections.abc import AsyncIterator, Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Executable, Table, any_, bindparam, cast, func, select
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, Insert, asyncpg, insert
from sqlalchemy.sql import visitors
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import ReturningInsert
from sqlalchemy.types import Text, TypeEngine
from sqlmodel import SQLModel

Connection = Any
"""A connection of asyncpg, on loan from the pool."""

_DIALECT = asyncpg.dialect()  # type: ignore[no-untyped-call]


RESTRICTION = "restriction"
"""The parameter that narrows a statement to what a caller may see; every statement takes it."""


class Narrowing(Protocol):
    """What `app.index.restriction` does to a statement."""

    @property
    def form(self) -> Hashable: ...
    @property
    def values(self) -> list[Any]: ...
    def narrowed(self, sql: str, tables: Collection[str], first: int, *, joined: bool) -> str: ...


class Prepared:
    """A statement as text with numbered parameters, which are given by name at each call."""

    def __init__(
        self,
        sql: str,
        names: Sequence[str],
        constants: Mapping[str, Any],
        tables: Collection[str] = (),
        *,
        joined: bool = False,
    ) -> None:
        self.sql = sql
        self._names = tuple(names)
        self._constants = dict(constants)
        self._tables = tables
        self._joined = joined
        self._narrowed: dict[Hashable, str] = {}

    async def fetch(self, connection: Connection, **parameters: Any) -> list[Any]:
        """Every row of the result."""
        sql, values = self._call(parameters)
        rows: list[Any] = await connection.fetch(sql, *values)
        return rows

    async def fetchrow(self, connection: Connection, **parameters: Any) -> Any:
        """The first row of the result, or None."""
        sql, values = self._call(parameters)
        return await connection.fetchrow(sql, *values)

    async def fetchval(self, connection: Connection, **parameters: Any) -> Any:
        """The first value of the first row, or None."""
        sql, values = self._call(parameters)
        return await connection.fetchval(sql, *values)

    async def portions(
        self, connection: Connection, size: int, **parameters: Any
    ) -> AsyncIterator[list[Any]]:
        """The rows of the result, so many at a time; the connection is in a transaction."""
        sql, values = self._call(parameters)
        cursor = await connection.cursor(sql, *values)
        while rows := await cursor.fetch(size):
            yield rows

    async def execute(self, connection: Connection, **parameters: Any) -> None:
        """Run the statement for its effect."""
        sql, values = self._call(parameters)
        await connection.execute(sql, *values)

    async def execute_each(
        self, connection: Connection, parameters: Iterable[Mapping[str, Any]]
    ) -> None:
        """Run the statement for its effect with each of the parameters, in their order.

        However many there are, it is one exchange with the server, and all take effect or none.
        """
        await connection.executemany(self.sql, [self._values(each) for each in parameters])

    def _call(self, parameters: Mapping[str, Any]) -> tuple[str, list[Any]]:
        if RESTRICTION not in parameters:
            return self.sql, self._values(parameters)
        restriction: Narrowing = parameters[RESTRICTION]
        sql = self._narrowed.get(restriction.form)
        if sql is None:
            sql = restriction.narrowed(
                self.sql, self._tables, len(self._names) + 1, joined=self._joined
            )
            self._narrowed[restriction.form] = sql
        # PostgreSQL minds values that no parameter takes.
        values = restriction.values if sql is not self.sql else []
        return sql, self._values(parameters) + values

    def _values(self, parameters: Mapping[str, Any]) -> list[Any]:
        if self._constants:
            parameters = {**self._constants, **parameters}
        return [parameters[name] for name in self._names]


class PreparedInsert(Prepared):
    """An INSERT of many rows at once, made by `insert_of`."""

    async def insert(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Insert the rows, in their order; what the statement returns of those it inserted."""
        arrays = {name: [row.get(name) for row in rows] for name in self._names}
        return await self.fetch(connection, **arrays)


def prepare(statement: Executable, *, joined: bool = False) -> Prepared:
    """Compile a statement; each `bindparam` without a value is given at every call, by its name.

    `joined` promises that rows of study, series and instance are joined by their ids wherever two
    of them are named, so that it is enough to look at one of them to know if all may be seen.
    """
    elements = visitors.iterate(statement)  # type: ignore[arg-type]
    tables = {element.name for element in elements if isinstance(element, Table)}
    return Prepared(*_compiled(statement), tables, joined=joined)


def prepare_insert(statement: Insert | ReturningInsert[Any]) -> PreparedInsert:
    """Compile what `rows_into` began."""
    return PreparedInsert(*_compiled(statement))


def rows_into(model: type[SQLModel], *columns: str) -> Insert:
    """An INSERT of rows that are given column by column, each column as one array.

    Its text is the same however many rows there are, and the server reads them in their order.
    JSONB and arrays are given as text, since a list of lists would be taken for one array.
    """
    into = table(model)
    values = select(*rows_given({name: into.c[name].type for name in columns}).values())
    return insert(into).from_select(columns, values, include_defaults=False)


def rows_given(kinds: Mapping[str, TypeEngine[Any]]) -> dict[str, ColumnElement[Any]]:
    """The columns of rows that are given as one array for each column, by the column's name."""
    as_text = {name for name, kind in kinds.items() if isinstance(kind, JSONB | ARRAY)}
    arrays = [
        bindparam(name, type_=ARRAY(Text() if name in as_text else kind))
        for name, kind in kinds.items()
    ]
    rows = func.unnest(*arrays).table_valued(*kinds, name="new").render_derived()
    return {
        name: cast(rows.c[name], kind) if name in as_text else rows.c[name]
        for name, kind in kinds.items()
    }


def any_of(name: str, kind: TypeEngine[Any]) -> ColumnElement[Any]:
    """To compare a column with: any of the values of a parameter, which is an array."""
    return any_(bindparam(name, type_=ARRAY(kind)))


def table(model: type[SQLModel]) -> Table:
    """The table of a model, as Core takes it."""
    found = model.__table__  # type: ignore[attr-defined]
    assert isinstance(found, Table)
    return found


def _compiled(statement: Executable) -> tuple[str, Sequence[str], dict[str, Any]]:
    compiled = statement.compile(dialect=_DIALECT)  # type: ignore[attr-defined]
    assert isinstance(compiled, SQLCompiler)
    constants = {
        name: value for name, value in compiled.params.items() if not compiled.binds[name].required
    }
    return compiled.string, compiled.positiontup or (), constants
