"""`hilum override`: what is open in an emergency to who may break the glass."""

import os
from typing import Annotated

import typer

from app.access import overrides
from app.audit.overrides import ENDED, end_of
from app.audit.trail import append
from app.cli.arguments import LARGEST_ID, Partition
from app.cli.environment import database, read_settings
from app.cli.listing import print_all
from app.cli.tokens import partition_named, with_index
from app.index.database import Connection, Database
from app.index.overrides import StoredOverride
from app.index.partitions import DEFAULT

commands = typer.Typer(help="Show and end emergency overrides.", no_args_is_help=True)


@commands.command("list")
def list_all(partition: Partition = DEFAULT) -> None:
    """Show what is open, to whom, until when and why."""
    print_all(
        partition,
        lambda index, of, after: overrides.list_overrides(index, of, after=after),
        _line,
    )


@commands.command("end")
def end(
    number: Annotated[
        int, typer.Argument(min=1, max=LARGEST_ID, help="As `hilum override list` shows it.")
    ],
    partition: Partition = DEFAULT,
) -> None:
    """Close what is open, from the next request on; the audit tells of it."""
    by = f"hilum override, run by user {os.getuid()}"

    async def do(index: Database) -> None:
        partition_id = await partition_named(index, partition)

        async def work(connection: Connection) -> None:
            ended = await overrides.end_override(connection, partition_id, number)
            await append(connection, [end_of(ended, ENDED, by)])

        await index.transact(work)

    with database(read_settings()) as url:
        with_index(url, do)


def _line(override: StoredOverride) -> str:
    what = f"study {override.study_instance_uid}"
    if override.patient_id is not None:
        of = f" of {override.issuer_of_patient_id}" if override.issuer_of_patient_id else ""
        what = f"patient {override.patient_id}{of}"
    return (
        f"{override.id:>5}  {override.subject:<20}  {override.opened_by:<24}"
        f"  until {override.expires_at:%Y-%m-%d %H:%M}  {what}  {override.reason}"
    )
