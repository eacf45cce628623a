"""`Reservations`: the keys that this process gives to its blobs, reserved before it uses them.

A row for each blob, committed before the blob, would cost every store a wait for the disk. So keys
are reserved many at a time, in one row, and as many instances share the wait. They are lent to
requests, which settle each: it belongs to an instance of the index, or certainly to no blob. Of one
that is not settled when its request ends, nobody knows.

While keys of an upload are in use, its lease is extended. After that it is forgotten if they are
all settled, and else left to a sweeper. So a process that ends, however it ends, leaves rows behind
that name every key of which nobody knows.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

import structlog

from app.errors import Unavailable, for_log
from app.index import uploads
from app.index.database import Database

KEYS = 256
"""So many share the wait for one commit; a sweeper looks for as many blobs after a crash."""

LEASE = timedelta(minutes=10)
EXTENSIONS_IN_LEASE = 5
"""So often the database may not answer before the lease is over."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ReservedKey:
    """A key that no blob has had and no other will have."""

    upload_id: int
    blob_key: str


class Reservations:
    """The reserved keys of one process, for all its requests."""

    def __init__(
        self, database: Database, stem_for: Callable[[int], str], *, lease: timedelta = LEASE
    ) -> None:
        """`stem_for` makes what the keys of one upload have in common, for a partition's id."""
        self._database = database
        self._stem_for = stem_for
        self._lease = lease
        self._uploads: dict[int, _Upload] = {}
        self._current: dict[int, _Upload] = {}
        """Of each partition, the upload whose keys are being given out."""
        self._reserving = asyncio.Lock()
        self._caretaker: asyncio.Task[None] | None = None

    @contextmanager
    def lend(self, partition_id: int) -> Iterator["Loan"]:
        """Keys for the blobs of one request to the partition, as many as it takes."""
        loan = Loan(self, partition_id)
        try:
            yield loan
        finally:
            for key in loan.unsettled:
                self._put_back(key, settled=False)

    async def _take(self, partition_id: int) -> ReservedKey:
        async with self._reserving:
            upload = self._current.get(partition_id)
            if upload is None or upload.next_number == KEYS:
                upload = self._current[partition_id] = await self._reserve(partition_id)
            return upload.take()

    async def care(self) -> None:
        """Forget or leave what is not needed any more, and extend the lease of the rest."""
        ended = [upload for upload in self._uploads.values() if upload.has_ended]
        for upload in ended:
            self._drop(upload.id)
        for upload in self._uploads.values():
            upload.used_lately = False
        held = list(self._uploads)
        async with self._database.reading() as connection:
            if forgotten := [upload.id for upload in ended if upload.settled]:
                await uploads.forget(connection, forgotten)
            if left := [upload.id for upload in ended if not upload.settled]:
                await uploads.extend(connection, left, timedelta())
            still_ours = await uploads.extend(connection, held, self._lease) if held else set()
        for upload_id in set(held) - still_ours:
            log.warning("upload_lost", upload=upload_id)
            self._drop(upload_id)

    async def close(self) -> None:
        """Give back what is not in use; what is, is left to a sweeper once its lease is over."""
        if self._caretaker is not None:
            self._caretaker.cancel()
            with suppress(asyncio.CancelledError):
                await self._caretaker
        for upload in self._uploads.values():
            upload.used_lately = False
        if self._uploads:
            with suppress(Unavailable):
                await self.care()

    def _put_back(self, key: ReservedKey, *, settled: bool) -> None:
        if upload := self._uploads.get(key.upload_id):
            upload.keys_in_use -= 1
            upload.settled = upload.settled and settled

    def _drop(self, upload_id: int) -> None:
        """Give out no more keys of the upload, and do nothing more for it."""
        self._uploads.pop(upload_id, None)
        self._current = {k: u for k, u in self._current.items() if u.id != upload_id}

    async def _reserve(self, partition_id: int) -> "_Upload":
        stem = self._stem_for(partition_id)
        async with self._database.reading() as connection:
            identity = await uploads.reserve(connection, partition_id, stem, KEYS, self._lease)
        if self._caretaker is None:
            self._caretaker = asyncio.create_task(self._take_care())
        upload = self._uploads[identity] = _Upload(identity, stem)
        return upload

    async def _take_care(self) -> None:
        while True:
            await asyncio.sleep(self._lease.total_seconds() / EXTENSIONS_IN_LEASE)
            try:
                await self.care()
            # Whatever it was: what is not extended in time is taken from those who are storing.
            except Exception as error:
                log.warning("leases_not_extended", error=for_log(error))


class Loan:
    """Keys that one request has in use."""

    def __init__(self, reservations: Reservations, partition_id: int) -> None:
        self._reservations = reservations
        self.partition_id = partition_id
        self.unsettled: set[ReservedKey] = set()

    async def take(self) -> ReservedKey:
        """A key for one blob. Raises `Unavailable` if none can be reserved."""
        key = await self._reservations._take(self.partition_id)
        self.unsettled.add(key)
        return key

    def settle(self, key: ReservedKey) -> None:
        """Say that the key belongs to an instance of the index, or certainly to no blob."""
        self.unsettled.discard(key)
        self._reservations._put_back(key, settled=True)

    def lose(self, key: ReservedKey) -> None:
        """Say that a sweeper has taken its upload: none of its keys are of use any more."""
        self.unsettled.discard(key)
        self._reservations._drop(key.upload_id)


class _Upload:
    """A row of `upload`, as its process knows it."""

    def __init__(self, identity: int, stem: str) -> None:
        self.id = identity
        self.next_number = 0
        self.keys_in_use = 0
        self.settled = True
        self.used_lately = True
        self._stem = stem

    @property
    def has_ended(self) -> bool:
        """Whether no key of it is in use, nor will be: it is used up, or nobody has needed it."""
        return not self.keys_in_use and (self.next_number == KEYS or not self.used_lately)

    def take(self) -> ReservedKey:
        key = uploads.key_of(self._stem, self.next_number)
        self.next_number += 1
        self.keys_in_use += 1
        self.used_lately = True
        return ReservedKey(self.id, key)
