"""Sessions: what a caller who is known is given for a while, where no header can be sent.

A browser sends no Authorization header for `<img>` and `<video>`. So a token can be exchanged for

- a cookie, which opens to the browser all that the caller may look at;
- a token for the address (`access_token=`), which opens one study for a few minutes: for what
  cannot keep a cookie either. Addresses are kept in histories and told to others, so it is little
  that this one gives away.

Neither can do anything but look. Both end with the token that they were had for, and at once when
they are ended: unlike tokens they are looked up for every request.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from app.access.credentials import SESSION_PREFIX, hash_of, new_secret
from app.access.grants import READING
from app.access.principal import Holder, Principal, Scope
from app.errors import Forbidden, TooOften
from app.index import sessions
from app.index.database import Database
from app.index.grants import Held
from app.index.restriction import Action, Depth, Patient
from app.index.sessions import Session

STUDY_SECONDS = 300
"""For which a token in an address is good."""
MOST_RUNNING = 10_000
"""Sessions of one caller, which can be a portal with many browsers behind its one token."""
LONGEST_SECRET = 128
"""Characters that are looked up at all."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that was made: the only moment at which its secret can be seen."""

    secret: str
    expires_at: datetime

    @property
    def seconds(self) -> int:
        """For how long it can be used from now on."""
        return _seconds_until(self.expires_at)


async def open_session(
    index: Database, principal: Principal, seconds: float, study_instance_uid: str | None = None
) -> Opened:
    """Make a session for a caller, for so long or until what the caller came with ends.

    `study_instance_uid`: the one study that it opens. Raises `Forbidden` for who may not read, or
    has to show a certificate with every request, and `TooOften` for who has `MOST_RUNNING`.
    """
    principal.demand(Scope.READ)
    if principal.bound_to is not None:
        raise Forbidden("What is bound to a certificate is not exchanged for what is not.")
    expires_at = datetime.now(UTC) + timedelta(seconds=seconds)
    if principal.expires_at is not None:
        expires_at = min(expires_at, principal.expires_at)
    holder = principal.holder
    patient = holder.patient if holder else None
    session = Session(
        partition_id=principal.partition_id,
        token_id=principal.token_id,
        name=principal.name,
        study_instance_uid=study_instance_uid,
        restricted=holder is not None,
        subjects=holder.subjects if holder else (),
        actions=_reading(holder.actions if holder else READING),
        of_patient=_reading(holder.of_patient if holder else ()),
        patient_id=patient.patient_id if patient else None,
        issuer_of_patient_id=patient.issuer if patient else None,
        purpose=holder.purpose if holder else None,
        expires_at=expires_at,
    )
    secret = new_secret(SESSION_PREFIX)
    async with index.transaction() as connection:
        number, first_end = await sessions.running(connection, session)
        if number >= MOST_RUNNING and first_end is not None:
            raise TooOften(_seconds_until(first_end))
        await sessions.create(connection, hash_of(secret), session)
    return Opened(secret, expires_at)


async def find_session(index: Database, secret: str) -> Session | None:
    """The session with this secret, if it has not ended."""
    is_ours = secret.startswith(SESSION_PREFIX) and secret.isascii()
    if not is_ours or len(secret) > LONGEST_SECRET:
        return None
    async with index.reading() as connection:
        return await sessions.find(connection, hash_of(secret))


async def end_session(index: Database, secret: str) -> bool:
    """End a session at once, for every process; False if there is none with this secret."""
    async with index.transaction() as connection:
        return await sessions.end(connection, hash_of(secret))


def principal_of(session: Session, held: Held | None) -> Principal:
    """The caller again, who can only look now; `held`: of the grants, where they restrict."""
    holder = None
    if session.study_instance_uid is not None:
        seen = held or Held(Depth.STUDY, None, None)
        held = replace(seen, studies=(session.study_instance_uid,), patients=())
    if held is not None:
        patient = None
        if session.patient_id is not None:
            patient = Patient(session.patient_id, session.issuer_of_patient_id)
        holder = Holder(
            tuple(session.subjects),
            held,
            session.purpose,
            frozenset(map(Action, session.actions)),
            frozenset(map(Action, session.of_patient)),
            patient,
        )
    return Principal(
        session.token_id,
        session.name,
        session.partition_id,
        frozenset({Scope.READ}),
        holder,
        session.expires_at,
    )


def _reading(actions: Iterable[Action]) -> list[str]:
    return [action.value for action in READING if action in actions]


def _seconds_until(moment: datetime) -> int:
    return max(math.ceil((moment - datetime.now(UTC)).total_seconds()), 0)
