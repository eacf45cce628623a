"""`hilum audit`: is the audit whole, how will one know later, and what does it tell a patient."""

import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, TextIO

import typer
from joserfc.jwk import OKPKey

from app.audit.checkpoint import Checkpoint, checkpoints_of_now, moment, read_checkpoints, read_key
from app.audit.retention import Removed
from app.audit.retention import retain as retain_audit
from app.audit.verify import Report
from app.audit.verify import verify as verify_audit
from app.cli.arguments import MOST_DAYS
from app.cli.disclosures import report as report_disclosures
from app.cli.environment import database, read_settings
from app.cli.recorded import record_look, run_by
from app.cli.tokens import with_index
from app.errors import ArchiveError, InvalidParameter
from app.index import audit_feeds
from app.index.audit_feeds import Lag
from app.index.database import Database

commands = typer.Typer(help="Verify the audit, and report of it.", no_args_is_help=True)
commands.command("disclosures")(report_disclosures)

SHOWN = 100
"""Damages that are told one by one."""


class NotRecorded(ArchiveError):
    """The audit was looked into, and has no record of that."""


class Tampered(ArchiveError):
    """The audit is not as it was written."""


@commands.command("checkpoint")
def checkpoint(
    key: Annotated[Path, typer.Option(help="Ed25519 private key, a PEM file.")],
    into: Annotated[Path | None, typer.Option(help="A file to append to; else printed.")] = None,
) -> None:
    """Make a signed checkpoint of every chain, to be kept where nobody can change it."""
    private = read_key(key)

    async def read(index: Database) -> list[str]:
        async with index.reading() as connection:
            return [one.signed(private) for one in await checkpoints_of_now(connection)]

    with _opened(into) as file, database(read_settings()) as url:
        print(*with_index(url, read), sep="\n", file=file)


def _opened(into: Path | None) -> AbstractContextManager[TextIO]:
    """Where lines are written: behind those of a file, or to whoever runs the command."""
    try:
        return nullcontext(sys.stdout) if into is None else into.open("a", encoding="utf-8")
    except OSError as error:
        raise InvalidParameter("--into", str(into), "cannot be written") from error


@commands.command("verify")
def verify(
    checkpoints: Annotated[Path | None, typer.Option(help="Lines that were kept.")] = None,
    key: Annotated[Path | None, typer.Option(help="Key they were signed with: PEM file.")] = None,
) -> None:
    """Read the whole audit and tell what was changed, removed, moved or cut off."""
    public = read_key(key) if key else None
    kept = []
    if checkpoints is not None:
        if public is None:
            raise typer.BadParameter("--checkpoints needs --key.")
        kept = _kept(checkpoints, public)

    async def read(index: Database) -> tuple[Report, list[str]]:
        async with index.reading() as connection:
            report = await verify_audit(connection, kept, public)
        return report, await _not_recorded(index, report.chains)

    with database(read_settings()) as url:
        report, unrecorded = with_index(url, read)
    for damage in report.damages[:SHOWN]:
        print(damage)
    for failure in unrecorded:
        print(failure)
    if report.unchecked:
        print(f"{report.unchecked} chains had old records removed; --key tells if rightly.")
    told = f"{report.records} records in {len(report.chains)} chains, {len(kept)} checkpoints"
    if report.damages:
        raise Tampered(f"{told}: {len(report.damages)} damages. The audit is not as it was.")
    print(f"{told}: nothing changed, removed, moved or cut off.")
    if unrecorded:
        raise NotRecorded


def _kept(file: Path, key: OKPKey) -> list[Checkpoint]:
    try:
        with file.open(encoding="utf-8") as lines:
            return list(read_checkpoints(lines, key))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidParameter("--checkpoints", str(file), "cannot be read") from error


async def _not_recorded(index: Database, chains: Iterable[int]) -> list[str]:
    """Record that each was read; those of which it cannot be, since damage is told in any case."""
    failures = []
    for partition_id in chains:
        try:
            await record_look(index, "audit verify", partition_id, "/audit")
        # Whatever it was: what is damaged may be what stands in the way.
        except Exception as error:
            why = str(error) if isinstance(error, ArchiveError) else type(error).__qualname__
            failures.append(f"partition {partition_id}, this look: not recorded ({why})")
    return failures


@commands.command("retain")
def retain(
    days: Annotated[int, typer.Option(min=1, max=MOST_DAYS, help="How long records are kept.")],
    key: Annotated[Path, typer.Option(help="Ed25519 private key, a PEM file.")],
) -> None:
    """Remove older records, and print the checkpoints that stay in their place, to be kept too."""
    private = read_key(key)
    before = datetime.now(UTC) - timedelta(days=days)

    async def remove(index: Database) -> list[Removed]:
        async with index.reading() as connection:
            return await retain_audit(connection, before, private, run_by("audit retain"))

    with database(read_settings()) as url:
        for removed in with_index(url, remove):
            print(removed.signed)
            print(f"{removed.records} records removed.", file=sys.stderr)


@commands.command("feeds")
def feeds() -> None:
    """Tell how far each feed of the audit is behind. Ends with 1 if one fails."""

    async def read(index: Database) -> list[Lag]:
        async with index.reading() as connection:
            return await audit_feeds.lags(connection)

    with database(read_settings()) as url:
        lags = with_index(url, read)
    for lag in lags:
        waiting = f", the oldest of {moment(lag.oldest)}" if lag.oldest else ""
        print(f"{lag.feed}: {lag.unsent} records unsent{waiting}", end="; ")
        print(f"last sent {moment(lag.sent_at)}" if lag.sent_at else "nothing sent yet")
        if lag.failing_since:
            print(f"{lag.feed}: fails since {moment(lag.failing_since)}: {lag.failure}")
    if any(lag.failing_since for lag in lags):
        sys.exit(1)
