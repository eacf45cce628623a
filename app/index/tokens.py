"""Access tokens as the index knows them: by hash, never in clear."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from app.index.database import Connection

_COLUMNS = (
    "id, partition_id, name, scopes, created_at, expires_at, revoked_at, last_used_at,"
    " restricted, roles, purpose"
)


@dataclass(frozen=True, slots=True)
class Token:
    """A token that was issued once; whether it is still valid follows from its moments."""

    id: int
    partition_id: int
    name: str
    scopes: frozenset[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    restricted: bool
    """Whether it sees only what grants let it see."""
    roles: list[str]
    purpose: str | None


async def create(
    connection: Connection,
    *,
    partition_id: int,
    name: str,
    sha256: bytes,
    scopes: Collection[str],
    expires_at: datetime | None = None,
    restricted: bool = False,
    roles: Collection[str] = (),
    purpose: str | None = None,
) -> int | None:
    """Keep a token by its hash and return its id; None if the hash is there already."""
    identity: int | None = await connection.fetchval(
        "INSERT INTO token"
        " (partition_id, name, sha256, scopes, expires_at, restricted, roles, purpose)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (sha256) DO NOTHING RETURNING id",
        partition_id,
        name,
        sha256,
        sorted(scopes),
        expires_at,
        restricted,
        sorted(set(roles)),
        purpose,
    )
    return identity


async def find_by_hash(connection: Connection, sha256: bytes) -> Token | None:
    """The token with this hash, valid or not."""
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM token WHERE sha256 = $1", sha256)
    return None if row is None else Token(**dict(row) | {"scopes": frozenset(row["scopes"])})


async def list_all(connection: Connection, partition_id: int | None = None) -> list[Token]:
    """Every token, or those of a partition, oldest first."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM token WHERE $1::int IS NULL OR partition_id = $1 ORDER BY id",
        partition_id,
    )
    return [Token(**dict(row) | {"scopes": frozenset(row["scopes"])}) for row in rows]


async def revoke(
    connection: Connection, identity: int, partition_id: int | None = None
) -> int | None:
    """End a token now, any or one of a partition, and return its partition.

    None if there is none with this id that was not ended before.
    """
    of: int | None = await connection.fetchval(
        "UPDATE token SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL"
        " AND ($2::int IS NULL OR partition_id = $2) RETURNING partition_id",
        identity,
        partition_id,
    )
    return of


async def touch(connection: Connection, identity: int) -> None:
    """Note that a token is in use."""
    await connection.execute("UPDATE token SET last_used_at = now() WHERE id = $1", identity)


async def lock(connection: Connection) -> None:
    """Let nobody else create a token before this transaction ends."""
    await connection.execute("LOCK TABLE token IN SHARE ROW EXCLUSIVE MODE")
