"""`hilum token`: who may come in. A token is shown once, when made; the index has its hash."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from pydantic import SecretStr

from app.access.credentials import hash_of, new_token
from app.access.principal import Scope
from app.cli.environment import database, read_settings
from app.errors import Conflict, NotFound
from app.index import migrate, partitions, tokens
from app.index.database import Connection, Database

commands = typer.Typer(help="Make, show and revoke access tokens.", no_args_is_help=True)

STATEMENT_SECONDS = 30


@commands.command("create")
def create(
    name: Annotated[str, typer.Option(help="Who or what will hold it.")],
    scope: Annotated[list[Scope] | None, typer.Option(help="May be given several times.")] = None,
    partition: Annotated[str, typer.Option(help="The tenant it works in.")] = partitions.DEFAULT,
    days: Annotated[int | None, typer.Option(min=1, help="How long it is valid.")] = None,
) -> None:
    """Make an access token and print it, this once."""
    settings = read_settings()
    expires_at = datetime.now(UTC) + timedelta(days=days) if days else None
    with database(settings) as url:
        migrate.upgrade(url)
        scopes = frozenset(scope or [Scope.READ])
        print(asyncio.run(issue(url, name, scopes, expires_at, partition)))


@commands.command("list")
def list_all() -> None:
    """Show every token, revoked and expired ones too."""
    with database(read_settings()) as url:
        for token in asyncio.run(_list_all(url)):
            print(_line(token))


@commands.command("revoke")
def revoke(number: Annotated[int, typer.Argument(help="As `hilum token list` shows it.")]) -> None:
    """End a token. Processes that serve notice within half a minute."""
    with database(read_settings()) as url:
        if not asyncio.run(_revoke(url, number)):
            raise NotFound(f"There is no token {number} that could be revoked.")


async def first_token(url: str, chosen: SecretStr | None) -> str | None:
    """Make the first administrator's token if the archive has no token at all.

    It is the one in the settings, or a new one; only a new one is returned, to be shown.
    """
    async with _connection(url) as connection:
        if await tokens.list_all(connection):
            return None
    token = chosen.get_secret_value() if chosen else new_token()
    await issue(url, "administrator", frozenset({Scope.ADMIN}), token=token)
    return None if chosen else token


async def issue(
    url: str,
    name: str,
    scopes: frozenset[Scope],
    expires_at: datetime | None = None,
    partition: str = partitions.DEFAULT,
    token: str | None = None,
) -> str:
    """Make a token and return it. Raises `Conflict` if this very token exists already."""
    token = token or new_token()
    async with _connection(url) as connection:
        identity = await tokens.create(
            connection,
            partition_id=await partitions.ensure(connection, partition),
            name=name,
            sha256=hash_of(token),
            scopes=scopes,
            expires_at=expires_at,
        )
    if identity is None:
        raise Conflict("This token exists already.")
    return token


async def _list_all(url: str) -> list[tokens.Token]:
    async with _connection(url) as connection:
        return await tokens.list_all(connection)


async def _revoke(url: str, number: int) -> bool:
    async with _connection(url) as connection:
        return await tokens.revoke(connection, number)


@asynccontextmanager
async def _connection(url: str) -> AsyncIterator[Connection]:
    """One transaction on a connection of its own."""
    index = await Database.open(url, connections=1, statement_seconds=STATEMENT_SECONDS)
    try:
        async with index.transaction() as connection:
            yield connection
    finally:
        await index.close()


def _line(token: tokens.Token) -> str:
    if token.revoked_at:
        state = f"revoked {token.revoked_at:%Y-%m-%d}"
    elif token.expires_at:
        state = f"until {token.expires_at:%Y-%m-%d}"
    else:
        state = "valid"
    used = f"used {token.last_used_at:%Y-%m-%d}" if token.last_used_at else "never used"
    scopes = ",".join(sorted(token.scopes))
    return f"{token.id:>5}  {token.name:<24}  {scopes:<24}  {state:<18}  {used}"
