"""Shares as rows: links that are made, exchanged for sessions, and ended.

What a share shows is a matter of grants to its subject (`app.index.grants`), which are made and
ended with it in one transaction. Neither a link nor a session is kept but by its hash.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import any_, bindparam, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text

from app.index.statements import Connection, prepare, table
from app.index.tables import CHANGE_ORDER, Instance, Series, Study
from app.index.visibility import Visibility, visible


@dataclass(frozen=True, slots=True, kw_only=True)
class NewShare:
    """A share to be made."""

    sha256: bytes
    name: str
    studies: Sequence[str]
    password: bytes | None
    most_uses: int | None
    creator: str
    created_by: str
    expires_at: datetime
    uid_key: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredShare:
    """A share that was made; whether it still holds follows from its moments and uses."""

    id: int
    partition_id: int
    name: str
    studies: list[str]
    password: bytes | None
    most_uses: int | None
    uses: int
    creator: str
    created_by: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None
    uid_key: bytes | None


@dataclass(frozen=True, slots=True)
class Session:
    """Who holds it sees what the share shows, until then."""

    share_id: int
    partition_id: int
    expires_at: datetime
    uid_key: bytes | None = None
    """By which UIDs are replaced, if it is shown de-identified."""
    studies: tuple[str, ...] = ()


def subject_of_share(share_id: int) -> str:
    """What grants call a share."""
    return f"share:{share_id}"


_COLUMNS = ", ".join(field.name for field in fields(StoredShare))
_NEW = ("partition_id", *(field.name for field in fields(NewShare)))
_INSERT = (
    f"INSERT INTO share ({', '.join(_NEW)})"
    f" VALUES ({', '.join(f'${number}' for number in range(1, len(_NEW) + 1))}) RETURNING id"
)
_HOLDS = "revoked_at IS NULL AND expires_at > now() AND (most_uses IS NULL OR uses < most_uses)"


async def create(connection: Connection, partition_id: int, share: NewShare) -> int:
    """Make a share and return its id; its grants are made by whoever calls this."""
    values = [getattr(share, name) for name in _NEW[1:]]
    identity: int = await connection.fetchval(_INSERT, partition_id, *values)
    return identity


async def find_by_hash(connection: Connection, sha256: bytes) -> StoredShare | None:
    """The share with this link, if it still leads to anything that is not open yet."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM share WHERE sha256 = $1 AND {_HOLDS}", sha256
    )
    return None if row is None else StoredShare(**dict(row))


async def find_of_session(
    connection: Connection, sha256: bytes, of_link: bytes
) -> StoredShare | None:
    """The share of a session that is still open and came of this link."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM share WHERE sha256 = $2 AND revoked_at IS NULL AND id ="
        " (SELECT share_id FROM share_session WHERE sha256 = $1 AND expires_at > now())",
        sha256,
        of_link,
    )
    return None if row is None else StoredShare(**dict(row))


async def list_all(
    connection: Connection,
    partition_id: int,
    creator: str | None = None,
    *,
    after: int = 0,
    limit: int = 1000,
) -> list[StoredShare]:
    """The shares of a partition (made by somebody) behind an id, ended ones too, oldest first."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM share WHERE partition_id = $1"
        " AND ($2::text IS NULL OR creator = $2) AND id > $3 ORDER BY id LIMIT $4",
        partition_id,
        creator,
        after,
        limit,
    )
    return [StoredShare(**dict(row)) for row in rows]


async def revoke(
    connection: Connection, partition_id: int, share_id: int, creator: str | None = None
) -> bool:
    """End a share (made by somebody) with its grants and sessions.

    False if there is none with this id that was not ended before.
    """
    revoked = await connection.fetchval(
        "UPDATE share SET revoked_at = now() WHERE id = $1 AND partition_id = $2"
        " AND revoked_at IS NULL AND ($3::text IS NULL OR creator = $3)"
        f" RETURNING nextval('{CHANGE_ORDER.name}')",
        share_id,
        partition_id,
        creator,
    )
    if revoked is None:
        return False
    await connection.execute(
        "DELETE FROM access_grant WHERE partition_id = $1 AND subject = $2",
        partition_id,
        subject_of_share(share_id),
    )
    await connection.execute("DELETE FROM share_session WHERE share_id = $1", share_id)
    return True


async def take_guess(connection: Connection, share_id: int, most: int, seconds: float) -> bool:
    """Count a guess at the password; False if there were as many as may be in so many seconds."""
    taken = await connection.fetchval(
        """
        UPDATE share SET
            guesses = CASE WHEN guessed_at > now() - $3 * interval '1 second'
                THEN guesses + 1 ELSE 1 END,
            guessed_at = CASE WHEN guessed_at > now() - $3 * interval '1 second'
                THEN guessed_at ELSE now() END
        WHERE id = $1 AND (
            guesses < $2 OR guessed_at IS NULL OR guessed_at <= now() - $3 * interval '1 second'
        )
        RETURNING id
        """,
        share_id,
        most,
        seconds,
    )
    return taken is not None


async def use(
    connection: Connection, sha256: bytes, session: bytes, seconds: int
) -> Session | None:
    """Exchange a link for a session of so many seconds; None if it leads nowhere (any more)."""
    row = await connection.fetchrow(
        "UPDATE share SET uses = uses + 1, guesses = 0, last_used_at = now()"
        f" WHERE sha256 = $1 AND {_HOLDS} RETURNING id, partition_id,"
        " least(expires_at, now() + $2 * interval '1 second')",
        sha256,
        float(seconds),
    )
    if row is None:
        return None
    opened = Session(*row)
    await connection.execute(
        "DELETE FROM share_session WHERE share_id = $1 AND expires_at <= now()", opened.share_id
    )
    await connection.execute(
        "INSERT INTO share_session (sha256, partition_id, share_id, expires_at)"
        " VALUES ($1, $2, $3, $4)",
        session,
        opened.partition_id,
        opened.share_id,
        opened.expires_at,
    )
    return opened


async def session_of(connection: Connection, sha256: bytes) -> Session | None:
    """The session with this hash, unless it has ended."""
    row = await connection.fetchrow(
        "SELECT of.share_id, of.partition_id, of.expires_at, share.uid_key, share.studies"
        " FROM share_session of JOIN share ON share.id = of.share_id"
        " WHERE of.sha256 = $1 AND of.expires_at > now()",
        sha256,
    )
    return None if row is None else Session(row[0], row[1], row[2], row[3], tuple(row[4]))


Kind = tuple[str, str, str]
"""Study UID, series UID, SOP Class UID: of what these are the same, grants cover all or nothing."""

_STUDY, _SERIES, _INSTANCE = table(Study).c, table(Series).c, table(Instance).c
_KINDS = prepare(
    select(_STUDY.study_instance_uid, _SERIES.series_instance_uid, _INSTANCE.sop_class_uid)
    .distinct()
    .select_from(table(Instance))
    .join(table(Series), _SERIES.id == _INSTANCE.series_id)
    .join(table(Study), _STUDY.id == _INSTANCE.study_id)
    .where(
        *(visible(model) for model in (Study, Series, Instance)),
        _STUDY.study_instance_uid == any_(bindparam("studies", type_=ARRAY(Text()))),
    ),
    joined=True,
)


async def kinds(
    connection: Connection, visibility: Visibility, studies: Collection[str]
) -> set[Kind]:
    """What is visible of these studies."""
    rows: list[Any] = await _KINDS.fetch(
        connection, **visibility.parameters, studies=sorted(set(studies))
    )
    return {(row[0], row[1], row[2]) for row in rows}
