"""The audit: appended to, read, and nothing else. Records of a partition form a chain of hashes.

Rules:
- What is appended continues the chain of its partition, under a lock on the chain's head that lasts
  from the statement to its commit. It is one statement: by itself it commits at once, and no
  process that is busy with other things holds the lock. With a change it is the last of its
  transaction, so that the lock is held until that process has asked for the commit, too. It must
  do so soon (`HOLD_MILLISECONDS`).
- The database refuses to change or remove what is written (see the migrations), even for us.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.index.database import Connection

COLUMNS = {
    "at": "timestamptz",
    "request_id": "text",
    "event": "text",
    "action": "text",
    "outcome": "smallint",
    "principal": "text",
    "client_address": "text",
    "method": "text",
    "path": "text",
    "query": "text",
    "status": "smallint",
    "study_instance_uid": "text",
    "series_instance_uid": "text",
    "sop_instance_uid": "text",
    "subtype": "text",
    "patient_id": "text",
    "issuer_of_patient_id": "text",
    "purpose": "text",
    "reason": "text",
    "override": "bigint",
    "patients": "jsonb",
    "subject": "text",
}
_NAMES = ", ".join(COLUMNS)
_READ_AS = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())

_APPEND = f"""
WITH RECURSIVE head AS (
    SELECT sequence, hash FROM audit_chain WHERE partition_id = $1 FOR UPDATE
), link (number, sequence, hash) AS (
    SELECT 0, sequence, hash FROM head
  UNION ALL
    SELECT number + 1, sequence + 1, sha256(hash || ($2::bytea[])[number + 1])
    FROM link WHERE number < cardinality($2::bytea[])
), advanced AS (
    UPDATE audit_chain SET sequence = link.sequence, hash = link.hash
    FROM link WHERE partition_id = $1 AND number = cardinality($2::bytea[])
), appended AS (
    INSERT INTO audit (partition_id, sequence, hash, {_NAMES})
    SELECT $1, sequence, hash, {_NAMES}
    FROM link JOIN ROWS FROM (json_to_recordset($3) AS ({_READ_AS}))
        WITH ORDINALITY AS new ({_NAMES}, number) USING (number)
    RETURNING 1
)
SELECT count(*), set_config('idle_in_transaction_session_timeout', $4, true) FROM appended
"""
HOLD_MILLISECONDS = 3000
"""How long a transaction that has appended may be left alone: nobody else appends meanwhile."""
_BEGIN = (
    "INSERT INTO audit_chain (partition_id, sequence, hash) VALUES ($1, 0, $2)"
    " ON CONFLICT (partition_id) DO NOTHING"
)


@dataclass(frozen=True, slots=True)
class End:
    """Where the chain of a partition ends."""

    partition_id: int
    sequence: int
    """Of the last record that was appended; 0 without any."""
    hash: bytes | None
    """Of that record; None if nothing is known of the chain."""
    last: int
    """Of the last record that is there; another number is a sign of tampering."""


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as it lies in the index."""

    partition_id: int
    sequence: int
    hash: bytes
    at: datetime
    request_id: str
    event: str
    action: str
    outcome: int
    principal: str | None
    client_address: str | None
    method: str
    path: str
    query: str | None
    status: int
    study_instance_uid: str | None
    series_instance_uid: str | None
    sop_instance_uid: str | None
    subtype: str | None
    patient_id: str | None
    issuer_of_patient_id: str | None
    purpose: str | None
    reason: str | None
    override: int | None
    patients: Sequence[Mapping[str, str]] | None
    subject: str | None


STORED = f"partition_id, sequence, hash, {_NAMES}"
"""The columns of a `StoredRecord`, in its order."""


async def append(
    connection: Connection,
    partition_id: int,
    genesis: bytes,
    records: Sequence[bytes],
    digests: Sequence[bytes],
) -> None:
    """Append records to the chain of a partition; all of them or none.

    Each is a JSON object with a member for every column that has a value, and has a digest;
    `genesis` begins a chain that is new. A transaction of the connection is to be committed next:
    it is undone if that takes `HOLD_MILLISECONDS`.
    """
    array = f"[{b','.join(records).decode()}]"
    values = partition_id, digests, array, str(HOLD_MILLISECONDS)
    if not await connection.fetchval(_APPEND, *values):
        await connection.execute(_BEGIN, partition_id, genesis)
        await connection.fetchval(_APPEND, *values)


_ENDS = """
WITH RECURSIVE found AS (
    SELECT min(partition_id) AS partition_id FROM audit
  UNION ALL
    SELECT (SELECT min(partition_id) FROM audit WHERE partition_id > found.partition_id)
    FROM found WHERE partition_id IS NOT NULL
)
SELECT partition_id, coalesce(audit_chain.sequence, 0), audit_chain.hash, coalesce(
    (SELECT max(sequence) FROM audit WHERE partition_id = found.partition_id), 0
)
FROM (SELECT * FROM found WHERE partition_id IS NOT NULL) AS found
FULL JOIN audit_chain USING (partition_id)
ORDER BY partition_id
"""


async def ends(connection: Connection) -> list[End]:
    """The ends of all chains at this moment, by partition."""
    return [End(*row) for row in await connection.fetch(_ENDS)]


_RECORDS = (
    f"SELECT {STORED} FROM audit"
    " WHERE partition_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3"
)
_PAGE = 2000

_PATIENTS = (
    "SELECT study_instance_uid, patient_id, issuer_of_patient_id FROM study"
    " WHERE partition_id = $1 AND study_instance_uid = ANY ($2)"
)


async def patients(
    connection: Connection, partition_id: int, studies: Sequence[str]
) -> dict[str, tuple[str | None, str | None]]:
    """Whose these studies are: Patient ID and issuer by study, of those that there are."""
    rows = await connection.fetch(_PATIENTS, partition_id, studies)
    return {study: (patient, issuer) for study, patient, issuer in rows}


async def records(
    connection: Connection, partition_id: int, after: int = 0
) -> AsyncIterator[StoredRecord]:
    """The records of a partition behind a place in its chain, in their order."""
    while page := await connection.fetch(_RECORDS, partition_id, after, _PAGE):
        for row in page:
            yield StoredRecord(*row)
        after = page[-1]["sequence"]
