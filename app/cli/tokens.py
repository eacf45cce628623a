"""`hilum token`: who may come in. A token is shown once, when made; the index has its hash."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

import typer

from app.access import tokens
from app.access.principal import Scope
from app.audit.changes import described
from app.audit.event import Action
from app.cli.arguments import LARGEST_ID, MOST_DAYS
from app.cli.environment import database, read_settings
from app.cli.recorded import recorded
from app.errors import NotFound
from app.index import migrate, partitions
from app.index.database import Database
from app.index.partitions import DEFAULT
from app.index.tokens import Token

Result = TypeVar("Result")

commands = typer.Typer(help="Make, show and revoke access tokens.", no_args_is_help=True)

STATEMENT_SECONDS = 30


@commands.command("create")
def create(
    name: Annotated[str, typer.Option(help="Who or what will hold it.")],
    scope: Annotated[list[Scope] | None, typer.Option(help="Default read; repeatable.")] = None,
    partition: Annotated[str, typer.Option(help="The tenant it works in.")] = DEFAULT,
    days: Annotated[
        int | None, typer.Option(min=1, max=MOST_DAYS, help="How long it is valid.")
    ] = None,
    restricted: Annotated[
        bool, typer.Option("--restricted", help="It sees only what grants let it see.")
    ] = False,
    role: Annotated[
        list[str] | None, typer.Option(help="Whose grants it has, if restricted; repeatable.")
    ] = None,
    purpose: Annotated[
        str | None, typer.Option(help="What it is used for, where a grant asks that.")
    ] = None,
) -> None:
    """Make an access token and print it, this once."""
    scopes = scope or [Scope.READ]
    until = datetime.now(UTC) + timedelta(days=days) if days else None
    more: dict[str, Any] = {
        "expires_at": until,
        "restricted": restricted,
        "roles": role or (),
        "purpose": purpose,
    }

    def describe(number: int) -> str:
        return described(token=number, name=name, scopes=scopes, **more)

    told = recorded("token create", "/admin/tokens", Action.CREATE, describe)

    async def make(index: Database) -> str:
        return await tokens.create_token(
            index, name, scopes, partition=partition, told=told, **more
        )

    with database(read_settings()) as url:
        print(with_index(url, make))


@commands.command("list")
def list_all() -> None:
    """Show every token, revoked and expired ones too."""
    with database(read_settings()) as url:
        for token in with_index(url, tokens.list_tokens):
            print(_line(token))


@commands.command("revoke")
def revoke(
    number: Annotated[
        int, typer.Argument(min=1, max=LARGEST_ID, help="As `hilum token list` shows it.")
    ],
) -> None:
    """End a token. Processes that serve notice within half a minute."""
    with database(read_settings()) as url:
        told = recorded("token revoke", "/admin/tokens", Action.DELETE)
        with_index(url, lambda index: tokens.revoke_token(index, number, told=told))


def with_index(url: str, action: Callable[[Database], Awaitable[Result]]) -> Result:
    """Do something with the index, on a connection of its own. Raises `NoArchive`."""

    async def act() -> Result:
        index = await Database.open(url, connections=1, statement_seconds=STATEMENT_SECONDS)
        try:
            await migrate.expect_archive(index)
            return await action(index)
        finally:
            await index.close()

    return asyncio.run(act())


async def partition_named(index: Database, name: str) -> int:
    """The id of a partition. Raises `NotFound`."""
    async with index.reading() as connection:
        found = await partitions.find(connection, name)
    if found is None:
        raise NotFound(f"There is no partition {name!r}.")
    return found


def _line(token: Token) -> str:
    if token.revoked_at:
        state = f"revoked {token.revoked_at:%Y-%m-%d}"
    elif token.expires_at:
        state = f"until {token.expires_at:%Y-%m-%d}"
    else:
        state = "valid"
    used = f"used {token.last_used_at:%Y-%m-%d}" if token.last_used_at else "never used"
    scopes = ",".join(sorted(token.scopes))
    if token.restricted:
        used += "  restricted" + "".join(f" {role}" for role in token.roles)
    return f"{token.id:>5}  {token.name:<24}  {scopes:<24}  {state:<18}  {used}"
