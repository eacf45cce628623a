"""`hilum recover`: what the blobs know and the index does not is stored again."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import typer

from app.archive import Archive
from app.blobs.contract import BlobInfo
from app.blobs.keys import made_on
from app.cli.recorded import run_by
from app.cli.upkeep import STATEMENT_SECONDS, with_archive
from app.errors import NotFound
from app.index import partitions
from app.index.partitions import DEFAULT
from app.index.uploads import parts_of
from app.store.outcomes import Outcome, Stored
from app.store.recovering import recover as store_again
from app.upkeep.blobs import pages_of_unknown

AT_ONCE = 64
"""Blobs that share a commit."""


@dataclass(slots=True)
class _Recovery:
    """What one run does, and what has come of it."""

    archive: Archive
    partition_id: int
    dry_run: bool
    since: datetime | None
    """Blobs from before are left alone."""
    stored: int = 0
    refused: int = 0
    older: int = 0

    async def run(self, prefix: str) -> None:
        """Store again what keys with this prefix hold, in the order in which it was written."""
        async for page in pages_of_unknown(self.archive, prefix):
            blobs = [blob for blob in page if parts_of(blob.key) and not self._is_older(blob)]
            blobs.sort(key=lambda blob: blob.written_at)
            for first in range(0, len(blobs), AT_ONCE):
                await self._store(blobs[first : first + AT_ONCE])

    async def _store(self, blobs: Sequence[BlobInfo]) -> None:
        if self.dry_run:
            for blob in blobs:
                print(f"{blob.key}: {blob.length} bytes of {blob.written_at:%Y-%m-%d %H:%M} UTC")
            return
        outcomes = await store_again(self.archive, self.partition_id, blobs, run_by("recover"))
        for blob, outcome in zip(blobs, outcomes, strict=True):
            print(f"{blob.key}: {_told(outcome)}", flush=True)
            if isinstance(outcome, Stored):
                self.stored += 1
            else:
                self.refused += 1

    def _is_older(self, blob: BlobInfo) -> bool:
        """A copy of a blob can be younger than it, its key is not."""
        if self.since is None:
            return False
        day = made_on(blob.key)
        older = blob.written_at < self.since or (day is not None and day < self.since.date())
        self.older += older
        return older


def recover(
    *,
    partition: Annotated[str, typer.Option(help="Whose blobs they are.")] = DEFAULT,
    keys_of: Annotated[
        int | None,
        typer.Option(min=1, help="The number in their keys (pN/...), if the partition is new."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Name them, and do nothing.")] = False,
) -> None:
    """Store again the blobs that no instance has: after the index was restored, or lost."""

    async def act(archive: Archive) -> _Recovery:
        async with archive.reading() as connection:
            found = await partitions.describe(connection, partition)
        if found is None:
            raise NotFound(f"There is no partition {partition!r}.")
        since = found.created_at if keys_of is None else None
        recovery = _Recovery(archive, found.id, dry_run, since)
        await recovery.run(f"p{keys_of or found.id}/")
        return recovery

    done = with_archive(act, statement_seconds=STATEMENT_SECONDS)
    if done.older:
        print(
            f"{done.older} blobs are older than the partition {partition!r}, and may be somebody"
            " else's. If you know that they are its own, name the number in their keys: --keys-of."
        )
    if not dry_run:
        print(f"{done.stored} stored, {done.refused} refused.")
    if done.older or done.refused:
        sys.exit(1)


def _told(outcome: Outcome) -> str:
    if isinstance(outcome, Stored):
        return (
            f"stored as instance {outcome.sop_instance_uid} of study {outcome.study_instance_uid}"
        )
    return f"REFUSED ({outcome.reason:04X}): {outcome.comment}"
