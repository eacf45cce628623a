"""Storing again what only the blobs know, from their own bytes.

An index that was restored from a backup does not know what was stored since, and a new one knows
nothing. The blobs are there: each is a whole file, which tells by itself what it is. It goes the
way of every other file, and gets a blob anew, so nothing gets in that Store would refuse. Nothing
of it is coerced: it was, if it had to be, when it came.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from app.archive import Archive
from app.audit.event import Action, AuditEvent, EventId
from app.audit.trail import append
from app.audit.unasked import unasked
from app.blobs.contract import BlobInfo, BlobMissing, BlobsUnavailable
from app.dicom import reasons
from app.index.database import Connection
from app.span import Span
from app.store.intake import CutShort
from app.store.objects import objects_of
from app.store.outcomes import Outcome, Refusal, Stored
from app.store.service import Part, store

METHOD = "RECOVER"
"""In the place of an HTTP method: nobody asked over HTTP."""

UNREADABLE = Refusal(reasons.PROCESSING_FAILURE, "its bytes cannot be read")
"""What becomes of a blob in a bad sector of a disk."""


async def recover(
    archive: Archive, partition_id: int, blobs: Sequence[BlobInfo], by: str
) -> list[Outcome]:
    """Store what these blobs hold in a partition; the outcome of each, in their order.

    `by`: whom the audit names for it. Raises `Unavailable`.
    """

    unreadable: set[BlobInfo] = set()

    async def parts() -> AsyncIterator[Part | Refusal]:
        for blob in blobs:
            yield _content(archive, blob, unreadable)

    record = _Record(partition_id, by)
    outcomes = await store(archive, partition_id, parts(), record=record, coerces=False)
    return [
        UNREADABLE if blob in unreadable else outcome
        for blob, outcome in zip(blobs, outcomes, strict=True)
    ]


async def _content(
    archive: Archive, blob: BlobInfo, unreadable: set[BlobInfo]
) -> AsyncIterator[bytes]:
    """The bytes of a blob; it is noted among the unreadable ones, if others can be read."""
    try:
        async for piece in archive.blobs.stream(blob.key, Span(0, blob.length)):
            yield piece
    except (BlobMissing, BlobsUnavailable):
        await archive.blobs.check()
        unreadable.add(blob)
        raise CutShort from None


class _Record:
    """The records of one recovery: one for each commit and study, in the transaction of it."""

    def __init__(self, partition_id: int, by: str) -> None:
        self._partition_id = partition_id
        self._by = by
        self._recorded: set[str] = set()
        """SOP Instance UIDs of which the audit has been told."""

    def note(self, outcomes: Sequence[Outcome]) -> None:
        """Nobody is answered."""

    def tells(self, outcomes: Sequence[Outcome], *, whole: bool) -> Sequence[AuditEvent]:
        """A record for each study of which something is stored now."""
        record = unasked(
            EventId.INSTANCES_TRANSFERRED,
            Action.CREATE,
            by=self._by,
            partition_id=self._partition_id,
            method=METHOD,
            path="/studies",
            query=None,
            study_instance_uid=None,
        )
        new = [one for one in _stored(outcomes) if one.sop_instance_uid not in self._recorded]
        return [replace(record, **about._asdict()) for about in objects_of(new)]

    async def write(self, connection: Connection, told: Sequence[AuditEvent]) -> None:
        """Append them to the audit."""
        await append(connection, told)

    def is_written(self, outcomes: Sequence[Outcome], *, whole: bool) -> None:
        """Tell no more of these."""
        self._recorded |= {outcome.sop_instance_uid for outcome in _stored(outcomes)}


def _stored(outcomes: Sequence[Outcome]) -> list[Stored]:
    return [outcome for outcome in outcomes if isinstance(outcome, Stored)]
