"""Making, listing and ending grants: what `hilum grant` and the administrators' API do.

A grant lets a subject do something (or, if it denies, never do it) with what it covers. Subjects
are tokens that are restricted (`token:12`), users of an identity provider (`user:f3a0`), holders of
client certificates (`cert:dns:ct2.example.org`, see `app.access.certificates`), and roles that any
of them have (`role:radiologist`).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from app.access.changes import Told, untold
from app.dicom import normal
from app.dicom.uids import valid_uid
from app.errors import InvalidParameter, NotFound
from app.index import grants, labels
from app.index.database import Database
from app.index.grants import NewGrant, Scope, StoredGrant
from app.index.restriction import Action

READING = (Action.SEARCH, Action.READ, Action.RENDER)
"""What somebody needs who looks at images."""

NAME = re.compile(r"[^\s:\x00-\x1f\x7f]{1,100}")
SUBJECT = re.compile(
    rf"token:[0-9]{{1,18}}|role:{NAME.pattern}|user:[!-~]{{1,255}}"
    r"|cert:sha256:[0-9a-f]{64}|cert:dns:[!-@\[-~]{1,255}|cert:(?:uri|email):[!-~]{1,255}"
    r"|cert:dn:[^\x00-\x1f\x7f]{1,255}"
)
SUBJECTS = "token:NUMBER, user:ID, cert:KIND:NAME or role:NAME"
"""How they are written, for people."""
TEXT_CHARACTERS = 64


def subject_of_token(token_id: int) -> str:
    """What grants call a token."""
    return f"token:{token_id}"


def subject_of_role(role: str) -> str:
    """What grants call a role. Raises `InvalidParameter`."""
    if not NAME.fullmatch(role):
        raise InvalidParameter("role", role, "is not 1 to 100 characters without space or colon")
    return f"role:{role}"


def scope_of(values: Mapping[str, str | None]) -> Scope:
    """The scope with these values, which come in any form that DICOM has for them.

    Raises `InvalidParameter`, also for a series or an issuer by itself: they are never looked up
    without their study or patient.
    """
    normalised = {}
    for name, value in values.items():
        if value is None:
            continue
        normalised[name] = _NORMAL[name](value)
        if normalised[name] is None:
            raise InvalidParameter(name, value, "has no such form")
    scope = Scope(**normalised)
    if scope.series_instance_uid is not None and scope.study_instance_uid is None:
        raise InvalidParameter("series_instance_uid", "", "needs study_instance_uid")
    if scope.issuer_of_patient_id is not None and scope.patient_id is None:
        raise InvalidParameter("issuer_of_patient_id", "", "needs patient_id")
    if scope.last_date is not None and (scope.first_date or "") > scope.last_date:
        raise InvalidParameter("last_date", scope.last_date, "is before first_date")
    return scope


async def create_grant(
    index: Database, partition_id: int, grant: NewGrant, *, told: Told = untold
) -> int:
    """Make a grant and return its id. It holds from the next request on; what the first of another
    kind allows, a moment later (`app.access.holdings`). Raises `InvalidParameter`."""
    if not SUBJECT.fullmatch(grant.subject):
        raise InvalidParameter("subject", grant.subject, f"is no {SUBJECTS}")
    if not grant.actions:
        raise InvalidParameter("actions", "", "at least one is needed")
    for action in grant.actions:
        if action not in set(Action):
            raise InvalidParameter("actions", action, f"is none of {', '.join(Action)}")
    if Action.AUDIT in grant.actions and (grant.scope != Scope() or grant.purpose is not None):
        why = f"covers all of a partition, for any purpose: a grant of {Action.AUDIT} names neither"
        raise InvalidParameter("actions", Action.AUDIT, why)
    if grant.expires_at is not None and grant.expires_at <= datetime.now(UTC):
        raise InvalidParameter("expires_at", str(grant.expires_at), "is in the past")
    async with index.transaction() as connection:
        identity = await grants.create(connection, partition_id, grant)
        await told(connection, partition_id, identity)
    return identity


async def list_grants(
    index: Database,
    partition_id: int,
    subject: str | None = None,
    *,
    after: int = 0,
    limit: int = 1000,
) -> list[StoredGrant]:
    """Grants of a partition in the order in which they were made."""
    async with index.reading() as connection:
        return await grants.list_all(connection, partition_id, subject, after=after, limit=limit)


async def end_grant(
    index: Database, partition_id: int, grant_id: int, *, told: Told = untold
) -> None:
    """End a grant, from the next request on. Raises `NotFound`."""
    async with index.transaction() as connection:
        if not await grants.delete(connection, partition_id, grant_id):
            raise NotFound(f"There is no grant {grant_id}.")
        await told(connection, partition_id, grant_id)


async def label_study(
    index: Database,
    partition_id: int,
    study_instance_uid: str,
    named: Sequence[str],
    *,
    told: Told = untold,
) -> None:
    """Give a study these labels instead of those it had. Raises `NotFound`, `InvalidParameter`."""
    for name in named:
        if _label(name) != name:
            raise InvalidParameter("labels", name, f"is not 1 to {TEXT_CHARACTERS} characters")
    async with index.transaction() as connection:
        if not await labels.label(connection, partition_id, study_instance_uid, named):
            raise NotFound
        await told(connection, partition_id, 0)


async def labels_of_study(index: Database, partition_id: int, study_instance_uid: str) -> list[str]:
    """The labels of a study. Raises `NotFound`."""
    async with index.reading() as connection:
        found = await labels.labels_of(connection, partition_id, study_instance_uid)
    if found is None:
        raise NotFound
    return found


def _uid(value: str) -> str | None:
    return value if valid_uid(value) else None


def _label(value: str) -> str | None:
    fits = 0 < len(value) <= TEXT_CHARACTERS and value.isprintable() and value == value.strip()
    return value if fits else None


_NORMAL: dict[str, Callable[[str], str | None]] = {
    "institution": normal.text,
    "patient_id": normal.text,
    "issuer_of_patient_id": normal.text,
    "study_instance_uid": _uid,
    "series_instance_uid": _uid,
    "modality": normal.text,
    "sop_class_uid": _uid,
    "first_date": normal.date,
    "last_date": normal.date,
    "label": _label,
}
