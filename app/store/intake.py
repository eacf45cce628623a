"""One instance on its way in: its bytes are spooled and hashed, then walked once, and become a row.

Rules:
- Whatever the size of an instance, a bounded piece of it is in memory.
- What cannot be stored becomes a `Refusal`, a value: one bad part must not cost the others their
  place. Its bytes are still read to their end, since the next part follows them.
- An instance on which the archive itself fails is refused like that, and its log tells where: the
  mistake is ours, and costs no other instance its place.
- What takes long happens in a thread. Most data sets are short beside their pixels, and are walked
  in the event loop: for a thread's turns of the interpreter it would wait as long.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import structlog

from app.blobs.contract import BlobsFull
from app.blobs.spool import Spool
from app.dicom import reasons
from app.dicom.coercion import Coercions, with_room
from app.dicom.dataset import Problem, Unreadable, WalkLimits
from app.dicom.instance import SopInstance, read_instance
from app.dicom.part10 import read_file_meta
from app.dicom.uids import valid_uid
from app.errors import ArchiveError, places
from app.faults import Point, reach
from app.index.instances import NewInstance
from app.index.reservations import ReservedKey
from app.settings import Limits
from app.store.coercing import Coerced, coerce
from app.store.columns import new_instance
from app.store.outcomes import Refusal, Stored

BRIEF = WalkLimits(
    header_bytes=64 * 1024,
    elements_per_level=1000,
    elements=1000,
    fragments=1000,
    items_per_sequence=1000,
    inflated_bytes=64 * 1024,
    text_bytes=4 * 1024,
)
"""What is walked in the event loop: for about a millisecond, or for some tens of them if it was
made to take long."""

PIECE_BYTES = 1024 * 1024
"""Bytes of a part that are written at a time."""


log = structlog.get_logger()


class CutShort(Exception):
    """The message ended before this part of it did."""


@dataclass(frozen=True, slots=True)
class Intake:
    """An instance that can be stored."""

    instance: NewInstance
    warnings: tuple[Problem, ...]
    coerced: Coerced | None = None

    @property
    def size(self) -> int:
        """About how many bytes its row takes in memory."""
        table = self.instance.frame_table or b""
        return len(self.instance.metadata_json) + len(table) + 100 * len(self.instance.bulk)

    @property
    def key(self) -> ReservedKey:
        """Under which its bytes are put."""
        return ReservedKey(self.instance.upload_id, self.instance.blob_key)

    def under(self, key: ReservedKey) -> "Intake":
        """The same with its bytes under another key."""
        changed = replace(self.instance, upload_id=key.upload_id, blob_key=key.blob_key)
        return replace(self, instance=changed)

    def stored(self) -> Stored:
        """What to say of it once it is."""
        return Stored(
            self.instance.study_instance_uid,
            self.instance.series_instance_uid,
            self.instance.sop_class_uid,
            self.instance.sop_instance_uid,
            self.warnings,
            original_attributes=self.coerced.item if self.coerced else None,
        )

    def refused(self, reason: int, comment: str, attributes: tuple[Problem, ...] = ()) -> Refusal:
        """What to say of it if it is not."""
        return Refusal(
            reason,
            comment,
            self.instance.sop_class_uid,
            self.instance.sop_instance_uid,
            attributes,
        )


async def receive(
    part: AsyncIterator[bytes], spool: Spool, most: int
) -> Refusal | BlobsFull | None:
    """Read a part into the spool, and to its end whatever happens; None if all of it is there.

    A part of more than `most` bytes, or one that is cut short, is refused; `BlobsFull` is given
    back, not raised, where there is no space. Raises what the connection raises.
    """
    failure: Refusal | BlobsFull | None = None
    try:
        async for piece in _in_pieces(part, spool):
            if failure is not None:
                continue
            head = piece
            if spool.size + len(piece) > most:
                failure = Refusal(reasons.OUT_OF_RESOURCES, f"it has more than {most} bytes")
                head = piece[: most - spool.size]  # it may still tell which instance it is
            try:
                if spool.has_memory_for(len(head)):
                    spool.write(head)
                else:
                    await asyncio.to_thread(spool.write, head)
            except BlobsFull as full:
                failure = failure or full
            reach(Point.IN_A_PART)
    except CutShort:
        return Refusal(reasons.CANNOT_UNDERSTAND, "the message ends before this part of it does")
    return failure


async def read(
    spool: Spool,
    key: ReservedKey,
    limits: Limits,
    study_instance_uid: str | None,
    coercions: Coercions | None = None,
    turn: AbstractAsyncContextManager[Any] | None = None,
) -> Intake | Refusal:
    """Walk what was received and make its row; refused if it is of another study than the given.

    With `coercions` the spool holds what they have made of it then. `turn`: what to wait for before
    what takes long, and may take much memory. Raises `BlobsFull`.
    """
    allowed = _walk_limits(limits)
    if spool.path is None and coercions is None:
        taken = _read(spool, key, _brief(allowed), study_instance_uid, None)
        if isinstance(taken, Intake):
            return taken
    # What is refused may only have been too long to be walked there.
    async with turn or nullcontext():
        return await asyncio.to_thread(_read, spool, key, allowed, study_instance_uid, coercions)


def identified(refusal: Refusal, spool: Spool) -> Refusal:
    """The refusal with the UIDs that the File Meta Information names, if as much can be read."""
    try:
        meta = read_file_meta(spool)
    except Unreadable:
        return refusal
    sop_class, sop_instance = meta.media_storage_sop_class_uid, meta.media_storage_sop_instance_uid
    if not (sop_class and sop_instance and valid_uid(sop_class) and valid_uid(sop_instance)):
        return refusal
    return replace(refusal, sop_class_uid=sop_class, sop_instance_uid=sop_instance)


def _read(
    spool: Spool,
    key: ReservedKey,
    allowed: WalkLimits,
    study_instance_uid: str | None,
    coercions: Coercions | None,
) -> Intake | Refusal:
    def walk_coerced(source: Spool) -> SopInstance:
        return read_instance(source, with_room(allowed), spool.beside)

    try:
        sop, coerced = read_instance(spool, allowed, spool.beside), None
        if coercions is not None:
            sop, coerced = coerce(spool, sop, coercions, walk_coerced)
        instance, unmatched = new_instance(
            sop,
            key=key,
            length=spool.size,
            fingerprint=spool.fingerprint,
            received_sha256=coerced.received if coerced else None,
        )
    except Unreadable as error:
        return identified(Refusal(error.reason, str(error), attributes=at_fault(error)), spool)
    except ArchiveError:
        raise
    except Exception as error:
        return identified(_own_failure(error), spool)
    intake = Intake(instance, _once_an_attribute(sop.problems + unmatched), coerced)
    if study_instance_uid is not None and sop.study_instance_uid != study_instance_uid:
        other = Problem("0020000D", "is not the study of the URL")
        return intake.refused(reasons.WRONG_STUDY, "it belongs to another study", (other,))
    return intake


def _own_failure(error: Exception) -> Refusal:
    """The refusal of an instance on which the archive failed, which the log is told of."""
    log.error("instance not read", places=places(error))
    return Refusal(reasons.PROCESSING_FAILURE, "the archive failed to read it; its log tells where")


def at_fault(error: Unreadable) -> tuple[Problem, ...]:
    """The attribute that an error names, if it names one."""
    if error.tag is None:
        return ()
    name = f"({error.tag[:4]},{error.tag[4:]}) "
    return (Problem(error.tag, str(error).removeprefix(name)),)


def _walk_limits(limits: Limits) -> WalkLimits:
    return WalkLimits(
        header_bytes=limits.header_bytes,
        nesting=limits.nesting,
        elements_per_level=limits.elements_per_level,
        elements=limits.elements,
        fragments=limits.fragments,
        items_per_sequence=limits.items_per_sequence,
        inflated_bytes=limits.inflated_bytes,
        inflated_freely_bytes=limits.inflated_freely_bytes,
        inflated_ratio=limits.inflated_ratio,
    )


@lru_cache(16)
def _brief(allowed: WalkLimits) -> WalkLimits:
    """Those of the settings, and `BRIEF`; asked for of every instance."""
    return allowed.and_no_more_than(BRIEF)


def _once_an_attribute(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    first: dict[str, Problem] = {}
    for problem in problems:
        first.setdefault(problem.tag, problem)
    return tuple(first.values())


async def _in_pieces(part: AsyncIterator[bytes], spool: Spool) -> AsyncIterator[bytes | bytearray]:
    """The bytes as they come while they stay in memory, then gathered for the disk."""
    piece = bytearray()
    async for data in part:
        # Once some are being gathered, all that follow come behind them.
        if not piece and spool.has_memory_for(len(data)):
            yield data
            continue
        piece += data
        if len(piece) >= PIECE_BYTES:
            yield piece
            piece = bytearray()
    if piece:
        yield piece
