"""What the index answers of an instance: as an outcome, and told in the transaction of it.

An outcome may still change when it is looked whether the bytes are there that are said to be. So
what is told is what the commit makes true: that some instances are stored now, and whether that is
all there is to the request.
"""

from collections.abc import Sequence
from dataclasses import replace as changed
from typing import Any, Protocol

from app.dicom import reasons
from app.dicom.dataset import Problem
from app.index.database import Connection
from app.index.instances import Added, Differs, Hidden, Identical, Lapsed, Misplaced, Replaced
from app.index.instances import Outcome as Answer
from app.settings import Duplicates
from app.store.differences import differences
from app.store.intake import Intake
from app.store.outcomes import Outcome

NOT_PERMITTED = "the access token does not allow it to be stored"

Answered = Added | Identical | Differs | Misplaced | Replaced | Hidden


class Record(Protocol):
    """The record of a request in the audit, as far as it can be told before it is answered."""

    def note(self, outcomes: Sequence[Outcome]) -> None:
        """Note what became of the parts that came, for what is written when it is answered."""

    def tells(self, outcomes: Sequence[Outcome], *, whole: bool) -> Sequence[Any]:
        """What is to be written of these outcomes; `whole`: whether they are all of the request."""

    async def write(self, connection: Connection, told: Sequence[Any]) -> None:
        """Write it, as the last of a transaction."""

    def is_written(self, outcomes: Sequence[Outcome], *, whole: bool) -> None:
        """Note that it is committed."""


class Testimony:
    """The witness of one commit of a request; see `app.index.instances.witness`."""

    def __init__(
        self,
        record: Record,
        outcomes: Sequence[Outcome | None],
        waiting: Sequence[tuple[int, Intake]],
        duplicates: Duplicates,
        *,
        whole: bool,
    ) -> None:
        """`outcomes`: of the request so far; `waiting`: what is offered, by its number in it;
        `whole`: whether nothing else is to come."""
        self._record = record
        self._outcomes = outcomes
        self._waiting = waiting
        self._duplicates = duplicates
        self._whole = whole

    def tells(self, answers: Sequence[Answer | None]) -> Sequence[Any]:
        """Something if the answers are of any instance that is stored by this commit."""
        if not _changes(answers):
            return ()
        outcomes, whole = self._foreseen(answers)
        return self._record.tells(outcomes, whole=whole)

    async def write(self, connection: Connection, told: Sequence[Any]) -> None:
        """As the record does."""
        await self._record.write(connection, told)

    def is_heard(self, answers: Sequence[Answer]) -> None:
        """Note that what was told of these answers is committed."""
        if _changes(answers):
            outcomes, whole = self._foreseen(answers)
            self._record.is_written(outcomes, whole=whole)

    def _foreseen(self, answers: Sequence[Answer | None]) -> tuple[list[Outcome], bool]:
        """What the outcomes of the request are by now, and whether that is all."""
        outcomes = list(self._outcomes)
        for (number, intake), answer in zip(self._waiting, answers, strict=True):
            if answer is not None and not isinstance(answer, Lapsed):
                outcomes[number] = outcome_of(intake, answer, self._duplicates)
        known = [outcome for outcome in outcomes if outcome is not None]
        is_over = self._whole and len(known) == len(outcomes)
        return known, is_over and not self._replaces(answers)

    def _replaces(self, answers: Sequence[Answer | None]) -> bool:
        """Whether something has replaced what was stored, or is about to."""
        return self._duplicates is Duplicates.REPLACE and any(
            isinstance(answer, Replaced | Differs) for answer in answers
        )


def _changes(answers: Sequence[Answer | None]) -> bool:
    return any(isinstance(answer, Added | Replaced) for answer in answers)


def outcome_of(intake: Intake, answer: Answered, duplicates: Duplicates) -> Outcome:
    """What is said of an instance to which the index has given this answer."""
    match answer:
        case Identical(as_it_came=True):
            return changed(intake.stored(), original_attributes=None)
        case Added() | Identical():
            return intake.stored()
        case Hidden():
            return intake.refused(reasons.NOT_AUTHORISED, NOT_PERMITTED)
        case Replaced():
            differing = differences(answer.metadata_json, intake.instance.metadata_json)
            return changed(intake.stored(), replaced=answer.version - 1, differences=differing)
        case Differs():
            differing = differences(answer.metadata_json, intake.instance.metadata_json)
            if duplicates is Duplicates.KEEP:
                passed_over = changed(intake.stored(), warnings=(), original_attributes=None)
                return changed(passed_over, kept=True, differences=differing)
            return intake.refused(
                reasons.DUPLICATE_INSTANCE, "it is stored already, with other content", differing
            )
        case Misplaced():
            same_study = answer.study_instance_uid == intake.instance.study_instance_uid
            other = "0020000E" if same_study else "0020000D"
            return intake.refused(
                reasons.DUPLICATE_INSTANCE,
                "its SOP Instance UID is stored elsewhere",
                (Problem(other, "differs from the stored instance"),),
            )
