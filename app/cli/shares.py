"""`hilum share`: links to studies for people who have no token."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from app.access import shares
from app.access.principal import Principal, Scope
from app.access.shares import Asked, Made
from app.audit.changes import described
from app.audit.event import Action
from app.cli.arguments import LARGEST_ID, MOST_DAYS, Partition
from app.cli.environment import database, dicomweb_base, read_settings
from app.cli.listing import print_all
from app.cli.recorded import recorded
from app.cli.tokens import partition_named, with_index
from app.index.database import Database
from app.index.partitions import DEFAULT
from app.index.shares import StoredShare

commands = typer.Typer(help="Make, show and revoke links to studies.", no_args_is_help=True)

NAME = "hilum share"


@commands.command("add")
def add(
    studies: Annotated[list[str], typer.Argument(help="Study Instance UIDs.")],
    name: Annotated[str, typer.Option(help="Whom it is for.")],
    days: Annotated[
        int | None, typer.Option(min=1, max=MOST_DAYS, help="How long it holds.")
    ] = None,
    uses: Annotated[int | None, typer.Option(min=1, help="How often it may be opened.")] = None,
    password: Annotated[
        bool, typer.Option("--password", help="Ask for a password that opens it.")
    ] = False,
    deidentify: Annotated[
        bool, typer.Option("--deidentify", help="Show images without who they are of.")
    ] = False,
    partition: Partition = DEFAULT,
) -> None:
    """Make a link and print it, this once."""
    settings = read_settings()
    asked = Asked(
        studies=studies,
        name=name,
        expires_at=datetime.now(UTC) + timedelta(days=days) if days else None,
        most_uses=uses,
        password=_ask_password() if password else None,
        deidentify=deidentify,
    )

    def describe(number: int) -> str:
        return described(share=number, study=studies)

    async def make(index: Database) -> Made:
        partition_id = await partition_named(index, partition)
        caller = Principal(None, NAME, partition_id, frozenset({Scope.ADMIN}))
        told = recorded("share add", "/shares", Action.CREATE, describe, studies)
        return await shares.create_share(index, caller, asked, settings.sharing, told=told)

    with database(settings) as url:
        made = with_index(url, make)
    base = dicomweb_base(settings, settings.port)
    print(f"{base.removesuffix('/dicomweb')}/share/{made.secret}")


@commands.command("list")
def list_all(partition: Partition = DEFAULT) -> None:
    """Show every share, ended ones too."""
    print_all(
        partition,
        lambda index, of, after: shares.list_shares(index, of, after=after),
        _line,
    )


@commands.command("revoke")
def revoke(
    number: Annotated[
        int, typer.Argument(min=1, max=LARGEST_ID, help="As `hilum share list` shows it.")
    ],
    partition: Partition = DEFAULT,
) -> None:
    """End a share and, within seconds, all that was opened with it."""

    async def do(index: Database) -> None:
        told = recorded("share revoke", "/shares", Action.DELETE)
        await shares.revoke_share(index, await partition_named(index, partition), number, told=told)

    with database(read_settings()) as url:
        with_index(url, do)


def _ask_password() -> str:
    given: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return given


def _line(share: StoredShare) -> str:
    if share.revoked_at:
        state = f"revoked {share.revoked_at:%Y-%m-%d}"
    elif share.expires_at <= datetime.now(UTC):
        state = f"expired {share.expires_at:%Y-%m-%d}"
    else:
        state = f"until {share.expires_at:%Y-%m-%d}"
    uses = f"used {share.uses}" + (f" of {share.most_uses}" if share.most_uses else "")
    password = "  password" if share.password is not None else ""
    password += "  de-identified" if share.uid_key is not None else ""
    return (
        f"{share.id:>5}  {share.name:<24}  {state:<18}  {uses}{password}  {' '.join(share.studies)}"
    )
