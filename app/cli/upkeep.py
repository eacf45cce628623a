"""`hilum sweep` and `hilum check`: what keeps an archive in order, and what tells whether it is."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, TypeVar

import orjson
import structlog
import typer

from app.archive import Archive, open_archive
from app.cli.environment import database, read_settings
from app.index import migrate
from app.upkeep import sweep as sweeping
from app.upkeep.check import Check, Options
from app.upkeep.findings import Finding

Result = TypeVar("Result")

STATEMENT_SECONDS = 24 * 60 * 60
"""A check reads whole tables."""


def sweep() -> None:
    """Remove blobs that a crash left behind a week ago; a serving archive does so by itself."""
    swept = with_archive(sweeping.sweep)
    print(f"{swept.ended} uploads ended: {swept.keys} of their keys belonged to no instance.")
    print(f"{swept.taken} more were taken from processes that are gone, and end in a week.")


def check(
    *,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what follows from what is there.")
    ] = False,
    give_up_unknown: Annotated[
        bool,
        typer.Option("--give-up-unknown", help="With --repair: let unknown blobs go in 7 days."),
    ] = False,
    sample: Annotated[
        float, typer.Option(min=0, max=100, help="Read the bytes of so many percent of the blobs.")
    ] = 100,
    since: Annotated[
        datetime | None, typer.Option(help="Only instances stored since then (UTC).")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="A JSON object a line; the last one sums up.")
    ] = False,
) -> None:
    """Tell what is wrong with blobs, index and audit. Ends with 1 if something is, and stays so."""
    options = Options(repair, give_up_unknown, sample, since and since.replace(tzinfo=UTC))

    async def act(archive: Archive) -> Check:
        checking = Check(archive, options)
        async for finding in checking.findings():
            print(_json(asdict(finding)) if json else _line(finding), flush=True)
        return checking

    done = with_archive(act, statement_seconds=STATEMENT_SECONDS)
    print(_json(_summary(done)) if json else _sentence(done))
    if not done.whole:
        sys.exit(1)


def with_archive(
    action: Callable[[Archive], Awaitable[Result]], *, statement_seconds: float | None = None
) -> Result:
    """Do something with the archive of the settings, whether or not it is being served.

    Raises `NoArchive`.
    """
    settings = read_settings()
    # What a command prints is for programs too.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    if statement_seconds is not None:
        limits = settings.limits.model_copy(update={"statement_seconds": statement_seconds})
        settings = settings.model_copy(update={"limits": limits})

    async def act() -> Result:
        archive = await open_archive(settings)
        try:
            await migrate.expect_archive(archive.database)
            return await action(archive)
        finally:
            await archive.close()

    with database(settings):
        return asyncio.run(act())


def _line(finding: Finding) -> str:
    state = "mended" if finding.mended else "WRONG"
    uids = finding.study_instance_uid, finding.series_instance_uid, finding.sop_instance_uid
    places = ("study", "series", "instance")
    place = [f"{name} {uid}" for name, uid in zip(places, uids, strict=True) if uid]
    if finding.blob_key:
        place.append(f"blob {finding.blob_key}")
    where = ", ".join([f"partition {finding.partition_id}", *place])
    return f"{state:<7} {finding.fault:<17} {finding.what} ({where})"


def _summary(done: Check) -> dict[str, object]:
    return {
        "whole": done.whole,
        "found": done.found,
        "mended": done.mended,
        "instances": done.instances,
        "blobs_read": done.blobs_read,
        "bytes_read": done.bytes_read,
        "audit_records": done.audit_records,
    }


def _sentence(done: Check) -> str:
    looked = (
        f"{done.instances} instances, {done.blobs_read} blobs read ({done.bytes_read} bytes), "
        f"{done.audit_records} records of the audit"
    )
    if not done.found:
        return f"{looked}: everything is as it must be."
    return f"{looked}: {done.found} found wrong, {done.mended} of them mended."


def _json(values: dict[str, object]) -> str:
    return orjson.dumps(values).decode()
