"""Feeds of the audit: what is not sent yet, who sends it, and how far that has come.

The audit is its own outbox. The records of a partition are committed in the order of their numbers
(see `app.index.audits`), so that one number tells what has been sent of it. One process at a time
holds a feed, by a lease on the clock of the database; only it moves the numbers, and never back.

A feed sends all there is, or what has gone well of some subtypes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.index.audits import STORED, StoredRecord
from app.index.database import Connection

_PARTITIONS = 8
"""Whose records are sent together; those that have waited longest come first."""

_HOLD = """
INSERT INTO audit_feed AS feed (name, holder, held_until, subtypes)
VALUES ($1, $2, now() + make_interval(secs => $3), $4)
ON CONFLICT (name) DO UPDATE SET
    holder = excluded.holder, held_until = excluded.held_until, subtypes = excluded.subtypes
WHERE feed.holder = excluded.holder OR feed.held_until IS NULL OR feed.held_until < now()
RETURNING true
"""
_RECORD = ", ".join(f"audit.{name.strip()}" for name in STORED.split(","))
_UNSENT = f"""
SELECT {_RECORD}
FROM (
    SELECT partition_id, coalesce(place.sequence, 0) AS sequence
    FROM audit_chain
    LEFT JOIN (SELECT * FROM audit_feed_place WHERE feed = $1) AS place USING (partition_id)
    WHERE audit_chain.sequence > coalesce(place.sequence, 0)
    ORDER BY place.sent_at NULLS FIRST, partition_id LIMIT {_PARTITIONS}
) AS behind CROSS JOIN LATERAL (
    SELECT * FROM audit
    WHERE partition_id = behind.partition_id AND sequence > behind.sequence
    ORDER BY sequence LIMIT $2
) AS audit
ORDER BY audit.partition_id, audit.sequence
"""
_UNSENT_OF_SUBTYPES = f"""
SELECT {_RECORD}
FROM audit_chain
LEFT JOIN (SELECT * FROM audit_feed_place WHERE feed = $1) AS place USING (partition_id)
CROSS JOIN LATERAL (
    SELECT * FROM audit
    WHERE partition_id = audit_chain.partition_id AND subtype = ANY ($3::text[]) AND outcome = 0
        AND sequence > coalesce(place.sequence, 0)
    ORDER BY sequence LIMIT $2
) AS audit
ORDER BY audit.partition_id, audit.sequence
"""
_ADVANCE = """
WITH held AS (
    UPDATE audit_feed
    SET sent_at = CASE WHEN cardinality($3::int[]) > 0 THEN now() ELSE sent_at END,
        failure = $5,
        failing_since = CASE WHEN $5::text IS NOT NULL THEN coalesce(failing_since, now()) END
    WHERE name = $1 AND holder = $2 RETURNING 1
)
INSERT INTO audit_feed_place AS place (feed, partition_id, sequence)
SELECT $1, partition_id, sequence
FROM held CROSS JOIN unnest($3::int[], $4::bigint[]) AS reached (partition_id, sequence)
ON CONFLICT (feed, partition_id) DO UPDATE
SET sequence = greatest(place.sequence, excluded.sequence), sent_at = now()
"""
_LAGS = """
SELECT feed.name,
    CASE WHEN $1::int IS NULL THEN feed.sent_at ELSE (
        SELECT place.sent_at FROM audit_feed_place AS place
        WHERE place.feed = feed.name AND place.partition_id = $1
    ) END,
    feed.failing_since, feed.failure,
    coalesce(sum(behind.records), 0)::bigint, min(behind.since)
FROM audit_feed AS feed LEFT JOIN LATERAL (
    SELECT chain.sequence - first.sequence + 1 AS records, first.at AS since
    FROM audit_chain AS chain CROSS JOIN LATERAL (
        SELECT sequence, at FROM audit
        WHERE partition_id = chain.partition_id AND sequence > coalesce((
            SELECT sequence FROM audit_feed_place
            WHERE feed = feed.name AND partition_id = chain.partition_id
        ), 0)
        ORDER BY sequence LIMIT 1
    ) AS first
    WHERE feed.subtypes IS NULL AND ($1::int IS NULL OR chain.partition_id = $1)
  UNION ALL
    SELECT count(*), min(audit.at)
    FROM audit
    LEFT JOIN (SELECT * FROM audit_feed_place WHERE feed = feed.name) AS place USING (partition_id)
    WHERE audit.subtype = ANY (feed.subtypes) AND audit.outcome = 0
        AND audit.sequence > coalesce(place.sequence, 0)
        AND ($1::int IS NULL OR audit.partition_id = $1)
) AS behind ON true
GROUP BY feed.name ORDER BY feed.name
"""


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a feed is behind."""

    feed: str
    sent_at: datetime | None
    """When something was last sent."""
    failing_since: datetime | None
    failure: str | None
    unsent: int
    """Records that wait."""
    oldest: datetime | None
    """When the oldest of them was written."""


async def hold(
    connection: Connection,
    feed: str,
    holder: str,
    seconds: float,
    subtypes: Sequence[str] | None = None,
) -> bool:
    """Whether the feed is the holder's for so many seconds: nobody else holds it.

    `subtypes`: those that it sends; None for all records.
    """
    return bool(await connection.fetchval(_HOLD, feed, holder, seconds, subtypes))


async def release(connection: Connection, feed: str, holder: str) -> None:
    """Let others have the feed."""
    await connection.execute(
        "UPDATE audit_feed SET held_until = NULL WHERE name = $1 AND holder = $2", feed, holder
    )


async def unsent(
    connection: Connection, feed: str, each: int, subtypes: Sequence[str] | None = None
) -> list[StoredRecord]:
    """What is to be sent next, so many of a partition at most, each partition's in its order."""
    if subtypes is None:
        rows = await connection.fetch(_UNSENT, feed, each)
    else:
        rows = await connection.fetch(_UNSENT_OF_SUBTYPES, feed, each, subtypes)
    return [StoredRecord(*row) for row in rows]


async def advance(
    connection: Connection,
    feed: str,
    holder: str,
    reached: Mapping[int, int],
    failure: str | None,
) -> None:
    """Note what has been sent, by partition, and what has gone wrong; of its holder only."""
    places = list(reached), list(reached.values())
    await connection.execute(_ADVANCE, feed, holder, *places, failure)


async def lags(connection: Connection, partition_id: int | None = None) -> list[Lag]:
    """Of every feed that there has been; with a partition, as far as it is of that."""
    return [Lag(*row) for row in await connection.fetch(_LAGS, partition_id)]
