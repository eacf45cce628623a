"""The Store transaction: parts come in, blobs become durable, rows are committed, outcomes go out.

Rules:
- Walk first, blob second, row third; an instance is `Stored` only after the commit of its row.
- Each instance is by itself: one that is refused, or a message that is cut, costs no other its
  place. What was received whole is kept, whoever is left to hear of it.
- A blob whose row was not written is deleted only if that is certain: the key is ours, and the
  transaction told that it has no use for it. After a commit of unknown outcome it stays. A key of
  which all is known is settled; the others are found by a sweeper (`app.index.reservations`).
- What the archive lacks (space, its database) is told by an exception as long as nothing has been
  stored, and by refusals of the rest after that.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import nullcontext
from operator import itemgetter

import structlog

from app.archive import Archive
from app.blobs.contract import BlobExists, BlobsFull
from app.blobs.spool import Spool, spool_directory
from app.dicom import reasons
from app.dicom.coercion import Coercions
from app.errors import ArchiveError, Unavailable
from app.faults import Point, reach
from app.index.database import Connection
from app.index.instances import (
    Added,
    Differs,
    Identical,
    Lapsed,
    NewInstance,
    Replaced,
    add_permitted,
    replace,
    testify,
)
from app.index.instances import Outcome as Answer
from app.index.reservations import Loan
from app.index.visibility import Visibility
from app.settings import Duplicates
from app.store.coercing import configured
from app.store.intake import Intake, identified, read, receive
from app.store.outcomes import Outcome, Refusal
from app.store.testimony import Answered, Record, Testimony, outcome_of
from app.store.vouching import vouched

Part = AsyncIterator[bytes]
"""The bytes of one Part 10 file, as they arrive."""

PARTS_AT_ONCE = 4
"""Instances of one request that are walked and put at the same time."""

ROWS_OF_COMMIT = 64
BYTES_OF_COMMIT = 4 * 1024 * 1024
"""Rows of one request wait for one another until they are so many, or so large."""

TOO_SLOW = "It took so long that its bytes may have been given up; try again."

log = structlog.get_logger()


async def store(
    archive: Archive,
    partition_id: int,
    parts: AsyncIterator[Part | Refusal],
    study_instance_uid: str | None = None,
    duplicates: Duplicates = Duplicates.REJECT,
    visibility: Visibility | None = None,
    record: Record | None = None,
    *,
    coerces: bool = True,
) -> list[Outcome]:
    """Store the parts and tell what became of each, in their order.

    With a `study_instance_uid`, instances of other studies are refused. A `Refusal` among the parts
    is one whose bytes could not even be read. `duplicates`: what becomes of those whose UID is
    stored with other content; `visibility`: what may be stored, if not everything; `record` tells
    of what is stored in the transactions that do it, and hears what became of all parts that came,
    also if the message breaks off; `coerces`: whether the settings may ask for changes of them.
    Raises `Unavailable` if nothing could be stored for want of space, blobs or database, and
    whatever reading the parts raises.
    """
    reach(Point.HEADERS_READ)
    with archive.reservations.lend(partition_id) as keys:
        coercions = configured(archive.settings) if coerces else None
        batch = _Batch(archive, keys, study_instance_uid, duplicates, visibility, record, coercions)
        whole = False
        try:
            async for part in parts:
                await batch.take(part)
                reach(Point.BETWEEN_PARTS)
                if batch.hopeless:
                    break
            whole = True
        finally:
            try:
                await batch.finish(whole=whole)
            finally:
                if record is not None:
                    record.note(batch.known())
    return batch.outcomes()


class _Batch:
    """The instances of one request."""

    def __init__(
        self,
        archive: Archive,
        keys: Loan,
        study: str | None,
        duplicates: Duplicates,
        visibility: Visibility | None,
        record: Record | None,
        coercions: Coercions | None,
    ) -> None:
        self._archive = archive
        self._keys = keys
        self._limits = archive.settings.limits
        self._coercions = coercions
        self._spools = spool_directory(archive.settings.data_dir)
        self._study = study
        self._duplicates = duplicates
        self._visibility = visibility
        self._record = record
        self._whole = False
        """Whether all parts have come."""
        self._outcomes: list[Outcome | None] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._places = asyncio.Semaphore(PARTS_AT_ONCE)
        self._waiting: list[tuple[int, Intake]] = []
        self._one_large = asyncio.Lock()
        self._committing = asyncio.Lock()
        self._lack: Unavailable | None = None

    @property
    def hopeless(self) -> bool:
        """Whether something is lacking and nothing is stored or about to be: nobody is helped."""
        return self._lack is not None and all(isinstance(o, Refusal) for o in self._outcomes)

    async def take(self, part: Part | Refusal) -> None:
        """Receive one part to its end; the rest of its way goes on while the next one arrives."""
        number = len(self._outcomes)
        self._outcomes.append(None)
        if isinstance(part, Refusal):
            self._outcomes[number] = part
            return
        spool = Spool(self._limits.spool_memory_bytes, self._spools)
        try:
            failure = await receive(part, spool, self._limits.instance_bytes)
            await self._places.acquire()
        except BaseException:
            spool.close()
            raise
        # Of two of one instance, the later one replaces the other, however long that takes.
        in_order = self._duplicates is Duplicates.REPLACE and self._tasks
        way = self._keep(number, spool, failure, after=self._tasks[-1] if in_order else None)
        self._tasks.append(asyncio.create_task(way))

    async def finish(self, *, whole: bool) -> None:
        """Wait until everything that was taken has its outcome, also if this is cancelled once.

        `whole`: whether that is all of the message.
        """
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._whole = whole
        await self._commit()
        for task in self._tasks:
            task.result()

    def outcomes(self) -> list[Outcome]:
        """The outcome of each part. Raises `Unavailable` if nothing is stored for that reason."""
        if self._lack is not None and self.hopeless:
            raise self._lack
        return self.known()

    def known(self) -> list[Outcome]:
        """The outcomes of those parts that have one."""
        return [outcome for outcome in self._outcomes if outcome is not None]

    async def _keep(
        self,
        number: int,
        spool: Spool,
        failure: Refusal | BlobsFull | None,
        *,
        after: asyncio.Task[None] | None,
    ) -> None:
        """Make one part durable and let its row wait to be committed, behind that of another."""
        try:
            with spool:
                # Of large ones, which are put in pieces, one at a time: memory is the request's.
                async with self._one_large if spool.path else nullcontext():
                    kept = await self._made_durable(spool, failure)
            if after is not None:
                await asyncio.wait([after])
            if isinstance(kept, Refusal):
                self._outcomes[number] = kept
                return
            self._waiting.append((number, kept))
            if self._enough_waiting():
                await self._commit()
        finally:
            self._places.release()

    async def _made_durable(
        self, spool: Spool, failure: Refusal | BlobsFull | None
    ) -> Intake | Refusal:
        """Walk the instance and put its blob; its row is still to come."""
        reach(Point.RECEIVED)
        match failure:
            case Refusal():
                return identified(failure, spool)
            case BlobsFull():
                return identified(self._refusal_for(failure), spool)
        try:
            key = await self._keys.take()
        except Unavailable as lack:
            return identified(self._refusal_for(lack), spool)
        try:
            # Even of a few bytes, inflated, much may become.
            turn = None if spool.path else self._one_large
            taken = await read(spool, key, self._limits, self._study, self._coercions, turn)
        except Unavailable as lack:
            self._keys.settle(key)
            return identified(self._refusal_for(lack), spool)
        if isinstance(taken, Refusal):
            self._keys.settle(key)
            return taken
        reach(Point.WALKED)
        try:
            return await _put(self._archive, self._keys, taken, spool)
        except Unavailable as lack:
            return self._refusal_for(lack, taken)

    def _enough_waiting(self) -> bool:
        size = sum(intake.size for _, intake in self._waiting)
        return len(self._waiting) >= ROWS_OF_COMMIT or size >= BYTES_OF_COMMIT

    async def _commit(self) -> None:
        """Commit every row that waits, and note the outcomes."""
        async with self._committing:
            waiting, self._waiting = sorted(self._waiting, key=itemgetter(0)), []
            if not waiting:
                return
            intakes = [intake for _, intake in waiting]
            witness = None
            if self._record is not None:
                witness = Testimony(
                    self._record, self._outcomes, waiting, self._duplicates, whole=self._whole
                )
            found = await _add(
                self._archive, self._keys, intakes, self._duplicates, self._visibility, witness
            )
            for (number, intake), outcome in zip(waiting, found, strict=True):
                if isinstance(outcome, Unavailable):
                    self._outcomes[number] = self._refusal_for(outcome, intake)
                else:
                    self._outcomes[number] = outcome

    def _refusal_for(self, lack: Unavailable, intake: Intake | None = None) -> Refusal:
        """What is said of an instance that could not be stored for what the archive lacks."""
        self._lack = self._lack or lack
        full = isinstance(lack, BlobsFull)
        reason = reasons.OUT_OF_RESOURCES if full else reasons.PROCESSING_FAILURE
        return intake.refused(reason, str(lack)) if intake else Refusal(reason, str(lack))


async def _put(archive: Archive, keys: Loan, intake: Intake, spool: Spool) -> Intake:
    """Put the blob of an instance; the intake then has the key under which it lies."""
    reach(Point.BEFORE_PUT)
    try:
        await archive.blobs.put(intake.key.blob_key, spool)
    except BlobExists:
        # Nobody else has the key: an answer was lost and the put repeated on the way. What lies
        # there may be half of it, so it is left to be swept.
        intake = intake.under(await keys.take())
        await archive.blobs.put(intake.key.blob_key, spool)
    reach(Point.AFTER_PUT)
    return intake


async def _add(
    archive: Archive,
    keys: Loan,
    intakes: list[Intake],
    duplicates: Duplicates,
    visibility: Visibility | None,
    witness: Testimony | None,
) -> list[Outcome | Unavailable]:
    """Commit the rows of durable instances; delete the blobs that turn out not to be needed.

    `Unavailable` stands for what may be committed or not, or is not and can be tried again.
    """
    rows = [intake.instance for intake in intakes]

    async def ask(offered: Sequence[NewInstance]) -> Sequence[Answer]:
        return await archive.writer.add(keys.partition_id, offered, visibility)

    try:
        told = await archive.writer.add(keys.partition_id, rows, visibility, witness)
        reach(Point.AFTER_COMMIT)
        if witness is not None:
            witness.is_heard(told)
    except Unavailable as lack:
        return [lack] * len(rows)
    answers = [
        await vouched(archive, keys.partition_id, intake, answer, duplicates, ask)
        for intake, answer in zip(intakes, told, strict=True)
    ]
    if duplicates is Duplicates.REPLACE:
        await _replace(archive, keys.partition_id, visibility, rows, answers, witness)
    outcomes: list[Outcome | Unavailable] = []
    for intake, answer in zip(intakes, answers, strict=True):
        if isinstance(answer, Unavailable):
            outcomes.append(answer)
            continue
        if isinstance(answer, Lapsed):
            keys.lose(intake.key)
            outcomes.append(Unavailable(TOO_SLOW))
            continue
        outcomes.append(outcome_of(intake, answer, duplicates))
        if await _without_waste(archive, intake.key.blob_key, answer):
            keys.settle(intake.key)
    return outcomes


async def _replace(
    archive: Archive,
    partition_id: int,
    visibility: Visibility | None,
    rows: list[NewInstance],
    answers: list[Answer | Unavailable],
    witness: Testimony | None,
) -> None:
    """Put those that differ in the place of what is stored, and change their answers."""
    places = _replacing(rows, answers)
    offered = [rows[place] for place in places]
    found: Sequence[Answer | Unavailable] = ()

    async def tell(connection: Connection, new: Sequence[Answer]) -> None:
        seen: list[Answer | None] = [None] * len(rows)
        for place, answer in zip(places, new, strict=True):
            seen[place] = answer
        await testify(connection, [(witness, seen)])

    async def work(connection: Connection) -> Sequence[Answer]:
        new = await replace(connection, partition_id, offered)
        await tell(connection, new)
        return new

    try:
        if offered and visibility is None:
            found = await archive.transact(work)
        elif offered and visibility is not None:
            found = await add_permitted(
                archive.database, visibility, offered, replacing=True, tell=tell
            )
    except Unavailable as lack:
        found = [lack] * len(offered)
    for place, answer in zip(places, found, strict=True):
        answers[place] = answer


def _replacing(rows: list[NewInstance], answers: list[Answer | Unavailable]) -> list[int]:
    """Which rows differ from what is stored, or from what is once those before them are."""
    places, differing = [], set()
    for place, (row, answer) in enumerate(zip(rows, answers, strict=True)):
        if isinstance(answer, Differs):
            differing.add(row.sop_instance_uid)
        elif not (isinstance(answer, Identical) and row.sop_instance_uid in differing):
            continue
        places.append(place)
    return places


async def _without_waste(archive: Archive, key: str, answer: Answered) -> bool:
    """Delete a blob that is not needed; whether it is certain that none is left."""
    match answer:
        case Added() | Replaced():
            return True
        case Identical(stored) | Differs(stored) if stored.blob_key == key:
            return True  # it is needed: an earlier commit of this row had succeeded unheard
    try:
        await archive.blobs.delete(key)
    except ArchiveError as error:
        log.warning("blob_left_behind", key=key, error=repr(error))
        return False
    return True
