"""The audit, append-only: this module inserts and does nothing else to it."""

from collections.abc import Sequence
from typing import Any

from app.index.database import Connection

_COLUMNS = (
    "partition_id",
    "request_id",
    "event",
    "action",
    "outcome",
    "principal",
    "client_address",
    "method",
    "path",
    "query",
    "status",
    "study_instance_uid",
    "series_instance_uid",
    "sop_instance_uid",
)
_INSERT = (
    f"INSERT INTO audit ({', '.join(_COLUMNS)})"
    f" VALUES ({', '.join(f'${n}' for n in range(1, len(_COLUMNS) + 1))})"
)


async def add(connection: Connection, records: Sequence[Any]) -> None:
    """Append records, each with an attribute for every column; all of them or none."""
    await connection.executemany(
        _INSERT, [[getattr(record, column) for column in _COLUMNS] for record in records]
    )
