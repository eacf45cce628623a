"""Emergency overrides: who may break the glass opens one study or one patient, for a while.

Rules:
- Only who is restricted and has a grant to `break-glass` opens anything, of that grant's extent,
  for the caller alone, to search, read and render. Whatever denies that, an override wins; what
  denies `break-glass` wins over it.
- Nothing is copied: an override shows what its caller's grants cover at each moment, and nothing
  once they are ended.
- All that is asked happens on the connection of the caller, so that it is one transaction with what
  the audit says of it.
"""

from dataclasses import dataclass

from app.access.grants import scope_of
from app.access.principal import Principal
from app.errors import Conflict, Forbidden, InvalidParameter, NotFound, TooOften
from app.index import overrides
from app.index.database import Connection, Database
from app.index.overrides import NewOverride, StoredOverride
from app.index.restriction import Action
from app.settings import Emergency

REASON_CHARACTERS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An override as its caller wants it: of a study, or of a patient."""

    reason: str
    study_instance_uid: str | None = None
    patient_id: str | None = None
    issuer_of_patient_id: str | None = None
    minutes: int | None = None
    """None for as long as the settings say."""


async def open_override(
    connection: Connection, caller: Principal, asked: Asked, limits: Emergency
) -> StoredOverride:
    """Open an override. Raises `Conflict` for who sees everything, `Forbidden`, `InvalidParameter`,
    `TooOften`, and `NotFound` alike for what is not there and what the caller may not open."""
    if caller.holder is None:
        raise Conflict("This token sees all of its partition: there is nothing to open.")
    visibility = caller.visibility_for(Action.BREAK_GLASS)
    if not caller.holder.held.breaking:
        raise Forbidden(f"The access token does not allow to {Action.BREAK_GLASS}.")
    new, minutes = _checked(caller, asked, limits)
    lately = await overrides.recent(connection, caller.partition_id, caller.subject)
    if lately.number >= limits.overrides_per_hour:
        raise TooOften(max(lately.seconds, 1))
    if not await overrides.covers(connection, visibility, new):
        raise NotFound("There is nothing of that which you could open.")
    return await overrides.create(connection, caller.partition_id, new, minutes)


def _checked(caller: Principal, asked: Asked, limits: Emergency) -> tuple[NewOverride, int]:
    reason = asked.reason.strip()
    if not 0 < len(reason) <= REASON_CHARACTERS or not reason.isprintable():
        why = f"is not 1 to {REASON_CHARACTERS} printable characters"
        raise InvalidParameter("reason", reason, why)
    minutes = limits.minutes if asked.minutes is None else asked.minutes
    if not 0 < minutes <= limits.longest_minutes:
        raise InvalidParameter("minutes", str(minutes), f"is not 1 to {limits.longest_minutes}")
    if (asked.study_instance_uid is None) == (asked.patient_id is None):
        raise InvalidParameter("study_instance_uid", "", "or patient_id is needed, and not both")
    scope = scope_of(
        {
            "study_instance_uid": asked.study_instance_uid,
            "patient_id": asked.patient_id,
            "issuer_of_patient_id": asked.issuer_of_patient_id,
        }
    )
    new = NewOverride(
        subject=caller.subject,
        opened_by=caller.name,
        reason=reason,
        study_instance_uid=scope.study_instance_uid,
        patient_id=scope.patient_id,
        issuer_of_patient_id=scope.issuer_of_patient_id,
    )
    return new, minutes


async def list_overrides(
    index: Database,
    partition_id: int,
    subject: str | None = None,
    *,
    after: int = 0,
    limit: int = 1000,
) -> list[StoredOverride]:
    """What is open in a partition (to somebody), in the order in which it was opened."""
    async with index.reading() as connection:
        return await overrides.list_open(
            connection, partition_id, subject, after=after, limit=limit
        )


async def end_override(
    connection: Connection, partition_id: int, override_id: int, subject: str | None = None
) -> StoredOverride:
    """End an override (of somebody), from the next request on, on all processes.

    Raises `NotFound` if none with this id is open.
    """
    ended = await overrides.end(connection, partition_id, override_id, subject)
    if ended is None:
        raise NotFound(f"No override {override_id} is open.")
    return ended
