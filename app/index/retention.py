"""How long the audit is kept: old records go, and a signed checkpoint stays in their place.

The database lets a record go only if a row of `audit_retention` covers it; the role that serves
cannot write there. While somebody removes records, nobody verifies them, since what is half removed
looks like what was tampered with.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from app.index.database import Connection

_BATCH = 10_000
_LOCK = 0x68696C756D61  # any number that nobody else takes
_WAIT_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Retention:
    """Where what is left of a chain begins: behind this record."""

    partition_id: int
    sequence: int
    hash: bytes
    signed: str


@dataclass(frozen=True, slots=True)
class Expired:
    """The last record of a chain that is as old as all before it."""

    partition_id: int
    sequence: int
    hash: bytes


@asynccontextmanager
async def unremoved(connection: Connection) -> AsyncIterator[None]:
    """Nobody removes records meanwhile, unless on this very connection."""
    async with _locked(connection, "_shared"):
        yield


@asynccontextmanager
async def removing(connection: Connection) -> AsyncIterator[None]:
    """Nobody else removes or verifies records meanwhile."""
    async with _locked(connection, ""):
        yield


@asynccontextmanager
async def _locked(connection: Connection, how: str) -> AsyncIterator[None]:
    """Hold the lock of a session. Whoever is killed holds it no longer."""
    # To wait in one statement would take longer than one may.
    while True:
        if await connection.fetchval(f"SELECT pg_try_advisory_lock{how}($1)", _LOCK):
            break
        await asyncio.sleep(_WAIT_SECONDS)
    try:
        yield
    finally:
        await connection.execute(f"SELECT pg_advisory_unlock{how}($1)", _LOCK)


async def retentions(connection: Connection) -> dict[int, Retention]:
    """The latest of each chain that has one, by partition."""
    rows = await connection.fetch(
        "SELECT DISTINCT ON (partition_id) partition_id, sequence, hash, signed"
        " FROM audit_retention ORDER BY partition_id, sequence DESC"
    )
    return {row["partition_id"]: Retention(*row) for row in rows}


_EXPIRED = """
SELECT audit.partition_id, audit.sequence, audit.hash
FROM audit_chain CROSS JOIN LATERAL (
    SELECT coalesce(min(sequence), audit_chain.sequence) - 1 AS sequence
    FROM audit WHERE partition_id = audit_chain.partition_id AND at >= $1
) AS last JOIN audit ON (audit.partition_id, audit.sequence)
    = (audit_chain.partition_id, last.sequence)
ORDER BY audit.partition_id
"""


async def expired(connection: Connection, before: datetime) -> list[Expired]:
    """Of each chain the last record up to which all are older; its very last record never is."""
    return [Expired(*row) for row in await connection.fetch(_EXPIRED, before)]


async def leave(connection: Connection, retention: Retention) -> None:
    """Leave a checkpoint in the place of records, which may be removed from then on."""
    await connection.execute(
        "INSERT INTO audit_retention (partition_id, sequence, hash, signed)"
        " VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        retention.partition_id,
        retention.sequence,
        retention.hash,
        retention.signed,
    )


async def remove(connection: Connection, retention: Retention) -> int:
    """Remove the records up to this one, in portions that hold nobody up; how many there were."""
    removed = 0
    while portion := await connection.fetchval(
        "WITH gone AS (DELETE FROM audit WHERE partition_id = $1 AND sequence IN ("
        " SELECT sequence FROM audit WHERE partition_id = $1 AND sequence <= $2"
        " ORDER BY sequence LIMIT $3) RETURNING 1) SELECT count(*) FROM gone",
        retention.partition_id,
        retention.sequence,
        _BATCH,
    ):
        removed += portion
    return removed
