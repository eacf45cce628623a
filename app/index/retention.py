"""How long the audit is kept: old records go, and a signed checkpoint stays in their place.

The database lets a record go only if a row of `audit_retention` covers it; the role that serves
cannot write there.
"""

from dataclasses import dataclass
from datetime import datetime

from app.index.database import Connection

_BATCH = 10_000


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


async def remove(connection: Connection, retention: Retention) -> int:
    """Remove the records up to this one, in portions that hold nobody up; how many there were."""
    await connection.execute(
        "INSERT INTO audit_retention (partition_id, sequence, hash, signed)"
        " VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        retention.partition_id,
        retention.sequence,
        retention.hash,
        retention.signed,
    )
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
