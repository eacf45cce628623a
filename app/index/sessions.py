"""Sessions as the index knows them: by hash, never in clear. What has ended is not there."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from app.index.database import Connection

MOST_CLEARED = 100
"""Sessions that are over and removed when one is made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What a caller was given, and all that has to be known of the caller."""

    partition_id: int
    token_id: int | None
    name: str
    study_instance_uid: str | None
    """The one that it opens; None for all that the caller may see."""
    restricted: bool
    subjects: Sequence[str]
    actions: Sequence[str]
    of_patient: Sequence[str]
    patient_id: str | None
    issuer_of_patient_id: str | None
    purpose: str | None
    expires_at: datetime


_NAMES = tuple(field.name for field in fields(Session))
_INSERT = (
    f"INSERT INTO session (sha256, {', '.join(_NAMES)})"
    f" VALUES ({', '.join(f'${number}' for number in range(1, len(_NAMES) + 2))})"
)
_CLEAR = """
DELETE FROM session WHERE id IN (
    SELECT id FROM session WHERE expires_at < now() LIMIT $1 FOR UPDATE SKIP LOCKED
)
"""
_FIND = f"""
SELECT {", ".join(_NAMES)} FROM session
WHERE sha256 = $1 AND expires_at > now() AND (
    token_id IS NULL OR EXISTS (
        SELECT FROM token WHERE token.id = session.token_id AND token.revoked_at IS NULL
            AND (token.expires_at IS NULL OR token.expires_at > now())
    )
)
"""


_RUNNING = """
SELECT count(*), min(expires_at) FROM session
WHERE partition_id = $1 AND name = $2 AND token_id IS NOT DISTINCT FROM $3 AND expires_at > now()
"""


async def running(connection: Connection, session: Session) -> tuple[int, datetime | None]:
    """How many sessions its caller has that have not ended, and when the first of them will."""
    whose = session.partition_id, session.name, session.token_id
    number, first_end = await connection.fetchrow(_RUNNING, *whose)
    return number, first_end


async def create(connection: Connection, sha256: bytes, session: Session) -> None:
    """Keep a session by the hash of its secret, and remove some that are over."""
    await connection.execute(_INSERT, sha256, *(getattr(session, name) for name in _NAMES))
    await connection.execute(_CLEAR, MOST_CLEARED)


async def find(connection: Connection, sha256: bytes) -> Session | None:
    """The session with this hash, if neither it nor the token that it is of has ended."""
    row = await connection.fetchrow(_FIND, sha256)
    return None if row is None else Session(**row)


async def end(connection: Connection, sha256: bytes) -> bool:
    """End a session now, for every process; False if there is none with this hash."""
    ended = await connection.fetchval("DELETE FROM session WHERE sha256 = $1 RETURNING id", sha256)
    return ended is not None
