"""Checking: is every blob, row, count, change and record of the audit as it must be?

Rules:
- Others may go on storing. What is wrong is looked at twice, and what has gone meanwhile is not
  told of.
- Bounded memory at any size: a page of rows, and of each blob being read a piece.
- Mended is only what follows from what is there, and each mend is in the audit before it is done.
  A blob that is missing or damaged is told of, and nothing else: it is for people and backups.
- Blobs that nobody knows are given up only on demand: after the index was restored from a backup,
  they are what was stored since.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from app.archive import Archive
from app.audit.trail import Trail
from app.audit.verify import verify
from app.index import checking, mending
from app.index.checking import CheckedInstance
from app.index.recount import Miscount, miscounted, recount
from app.upkeep import repairs
from app.upkeep.blobs import check_blob, unknown_blobs
from app.upkeep.findings import Fault, Finding, Found, Mend
from app.upkeep.kept import check_kept
from app.upkeep.rows import check_instance, check_parent
from app.upkeep.sweep import sweep

AT_ONCE = 4
"""Instances that are looked at side by side."""
GRACE = timedelta(hours=1)
"""Sweepers come every few minutes; an upload that has waited for longer is forgotten by them."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Options:
    """What a check does."""

    repair: bool = False
    give_up_unknown: bool = False
    """Also leave blobs that nobody knows to the sweepers."""
    percent_read: float = 100
    """Of how many blobs the bytes are read, chosen by chance; of the others, only the length."""
    since: datetime | None = None
    """Only instances that were stored at that moment or later."""


class Check:
    """One check of the archive."""

    def __init__(self, archive: Archive, options: Options) -> None:
        self._archive = archive
        self._options = options
        self._trail = Trail(archive)
        self._large = asyncio.Lock()
        self._places = asyncio.Semaphore(AT_ONCE)
        self.instances = 0
        self.blobs_read = 0
        self.bytes_read = 0
        self.audit_records = 0
        self.found = 0
        self.mended = 0

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong any more, as far as was looked."""
        return self.found == self.mended

    async def findings(self) -> AsyncIterator[Finding]:
        """Everything that is wrong, as it is found; with `repair`, mended where that is possible.

        Raises `Unavailable` if the index or the blobs are.
        """
        for part in (
            self._instances(),
            self._kept(),  # before a mend of its series makes it older than that
            self._parents(),
            self._counts(),
            self._changes(),
            self._uploads(),
            unknown_blobs(self._archive, give_up=self._options.give_up_unknown),
            self._audit(),
        ):
            async for finding, mend in part:
                self.found += 1
                if not (self._options.repair and mend):
                    yield finding
                    continue
                await self._trail.record(repairs.event_of(finding))
                await mend()
                self.mended += 1
                yield replace(finding, mended=True)

    async def _instances(self) -> AsyncIterator[Found]:
        after = 0
        while page := await self._read(checking.instances, after, self._options.since):
            for found in await asyncio.gather(*map(self._instance, page)):
                for one in found:
                    yield one
            after = page[-1].id

    async def _instance(self, instance: CheckedInstance) -> list[Found]:
        """Both its blob and its row, and nothing if it has gone meanwhile."""
        async with self._places, self._large if instance.large else nullcontext():
            read = random.uniform(0, 100) < self._options.percent_read  # noqa: S311
            wrong = await check_blob(self._archive.blobs, instance, read=read)
            async with self._archive.reading() as connection:
                details = await checking.details(connection, instance.id)
        if details is None:
            return []
        self.instances += 1
        self.blobs_read += read
        self.bytes_read += instance.length if read else 0
        found: list[Found] = [(wrong, None)] if wrong else []
        return [*found, *check_instance(self._archive, instance, details)]

    async def _parents(self) -> AsyncIterator[Found]:
        for pages in (checking.studies, checking.series):
            after = 0
            while page := await self._read(pages, after):
                for parent in page:
                    for found in check_parent(self._archive, parent):
                        yield found
                after = page[-1].id

    async def _counts(self) -> AsyncIterator[Found]:
        after = 0
        while page := await self._read(checking.studies, after):
            extent = {"first": page[0].id, "last": page[-1].id}
            async with self._archive.snapshot() as connection:
                wrong = await miscounted(connection, **extent)
            for one in wrong:
                yield _of_counts(one), self._writing(recount, one.study_id)
            after = page[-1].id

    async def _kept(self) -> AsyncIterator[Found]:
        after = 0
        while page := await self._read(checking.kept_series, after):
            for kept in page:
                if found := await check_kept(self._archive, kept):
                    yield found
            after = page[-1].series_id

    async def _changes(self) -> AsyncIterator[Found]:
        async with self._archive.snapshot() as connection:
            async for one in checking.mistold(connection):
                yield (
                    _of_change(one),
                    (
                        self._writing(mending.tell_of, one.instance_id)
                        if one.instance_id is not None and not one.times
                        else None
                    ),
                )

    async def _uploads(self) -> AsyncIterator[Found]:
        after = 0
        while page := await self._read(checking.abandoned, after, GRACE):
            for upload_id, partition_id, stem, over in page:
                what = f"its lease was over on {over:%Y-%m-%d %H:%M} UTC, and it was not swept"
                finding = Finding(Fault.UPLOAD_ABANDONED, partition_id, what, blob_key=stem)
                yield finding, partial(sweep, self._archive)
                after = upload_id

    async def _audit(self) -> AsyncIterator[Found]:
        async with self._archive.reading() as connection:
            report = await verify(connection)
        self.audit_records = report.records
        for damage in report.damages:
            yield Finding(Fault.AUDIT, damage.partition_id, str(damage)), None

    async def _read(self, page: Callable[..., Awaitable[list[T]]], *arguments: Any) -> list[T]:
        async with self._archive.reading() as connection:
            return await page(connection, *arguments)

    def _writing(self, mend: Callable[..., Awaitable[None]], row_id: int) -> Mend:
        return lambda: self._archive.transact(lambda connection: mend(connection, row_id))


def _of_counts(one: Miscount) -> Finding:
    what = f"it says {one.said}, there are {one.counted}"
    uids = one.study_instance_uid, one.series_instance_uid
    return Finding(Fault.COUNTS, one.partition_id, what, *uids)


def _of_change(one: checking.CheckedChange) -> Finding:
    version = f"version {one.version}"
    if one.instance_id is None:
        fault, what = Fault.CHANGE_OF_NOTHING, f"the log tells of {version}, which is not there"
    elif one.times:
        fault, what = Fault.CHANGE_TWICE, f"the log tells {one.times} times of {version}"
    else:
        fault, what = Fault.CHANGE_MISSING, f"the log does not tell of {version}"
    return Finding(fault, one.partition_id, what, sop_instance_uid=one.sop_instance_uid)
