"""What a check of the archive reads of the index, of all partitions, a page at a time.

Rules:
- What is read of one thing is read by one statement, so it is of one moment.
- A page goes on behind the last id of the one before, so that nothing is held between two pages.
"""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from app.index.series_metadata import Deflated
from app.index.statements import Connection

PAGE = 500
LARGE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class CheckedInstance:
    """A version of an instance: the columns of `app.index.tables.Instance` that say something."""

    id: int
    partition_id: int
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    version: int
    transfer_syntax_uid: str
    instance_number: int | None
    rows: int | None
    columns: int | None
    bits_allocated: int | None
    number_of_frames: int | None
    blob_key: str
    blob_offset: int
    length: int
    sha256: bytes
    pixel_offset: int | None
    pixel_length: int | None
    frame_bits: int | None
    large: bool
    """Whether its `Details` are of many megabytes."""
    shared: bool
    """Whether bytes of its blob belong to another instance too."""


@dataclass(frozen=True, slots=True)
class Details:
    """The large columns of one instance."""

    metadata_json: bytes
    bulk: list[Any]
    frame_table: bytes | None


@dataclass(frozen=True, slots=True)
class CheckedParent:
    """A study or a series: what it is called, its DICOM JSON, and its columns."""

    id: int
    partition_id: int
    study_instance_uid: str
    series_instance_uid: str | None
    attributes: bytes
    columns: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CheckedChange:
    """A version of an instance that the log of changes does not tell exactly once."""

    partition_id: int
    sop_instance_uid: str
    version: int
    instance_id: int | None
    """None if there is no such version."""
    times: int
    """How often it is told."""


@dataclass(frozen=True, slots=True)
class CheckedKept:
    """A series of whose metadata something is kept, and in what form."""

    series_id: int
    partition_id: int
    study_instance_uid: str
    series_instance_uid: str
    form: str


_EXPRESSIONS = {
    "study_instance_uid": "study.study_instance_uid",
    "series_instance_uid": "series.series_instance_uid",
    "large": (
        "octet_length(instance.metadata_json) + coalesce(octet_length(instance.frame_table), 0)"
        f" > {LARGE_BYTES}"
    ),
    "shared": (
        "EXISTS (SELECT 1 FROM instance AS other WHERE other.blob_key = instance.blob_key"
        " AND other.id <> instance.id AND other.blob_offset < instance.blob_offset"
        " + instance.length AND instance.blob_offset < other.blob_offset + other.length)"
    ),
}
_INSTANCE_COLUMNS = ", ".join(
    _EXPRESSIONS.get(field.name, f"instance.{field.name}") for field in fields(CheckedInstance)
)
_INSTANCES = f"""
SELECT {_INSTANCE_COLUMNS}
FROM instance JOIN series ON series.id = instance.series_id
    JOIN study ON study.id = instance.study_id
WHERE instance.id > $1 AND ($2::timestamptz IS NULL OR instance.created_at >= $2)
ORDER BY instance.id LIMIT {PAGE}
"""


async def instances(
    connection: Connection, after: int, since: datetime | None = None
) -> list[CheckedInstance]:
    """A page of instances, old versions too; `since`: only those stored at that moment or later."""
    return [CheckedInstance(*row) for row in await connection.fetch(_INSTANCES, after, since)]


async def details(connection: Connection, instance_id: int) -> Details | None:
    """The large columns of an instance; None if it is not there any more."""
    row = await connection.fetchrow(
        "SELECT metadata_json, bulk, frame_table FROM instance WHERE id = $1", instance_id
    )
    return Details(*row) if row else None


_STUDIES = f"SELECT * FROM study WHERE id > $1 ORDER BY id LIMIT {PAGE}"
_SERIES = f"""
SELECT series.*, study_instance_uid FROM series JOIN study ON study.id = series.study_id
WHERE series.id > $1 ORDER BY series.id LIMIT {PAGE}
"""


async def studies(connection: Connection, after: int) -> list[CheckedParent]:
    """A page of studies."""
    return [_parent(row) for row in await connection.fetch(_STUDIES, after)]


async def series(connection: Connection, after: int) -> list[CheckedParent]:
    """A page of series."""
    return [_parent(row) for row in await connection.fetch(_SERIES, after)]


def _parent(row: Any) -> CheckedParent:
    columns = dict(row)
    return CheckedParent(
        columns["id"],
        columns["partition_id"],
        columns["study_instance_uid"],
        columns.get("series_instance_uid"),
        columns["attributes"],
        columns,
    )


_OWNED = """
SELECT blob_key FROM instance WHERE blob_key = ANY($1::text[])
UNION ALL
SELECT key FROM unnest($1::text[]) AS key JOIN upload
    ON key_stem = regexp_replace(key, '-[0-9]{1,9}$', '')
    AND key ~ '-[0-9]{1,9}$' AND substring(key FROM '[0-9]{1,9}$')::int < number_of_keys
    AND (fence = 0 AND lease_until > now() OR fence > 1)
"""


async def owned(connection: Connection, keys: Collection[str]) -> set[str]:
    """Those of the keys that belong to an instance, of whatever version, or to an upload that
    somebody has, or that was given up."""
    return {key for (key,) in await connection.fetch(_OWNED, list(keys))}


_ABANDONED = f"""
SELECT id, partition_id, key_stem, lease_until FROM upload
WHERE id > $1 AND lease_until < now() - $2::interval ORDER BY id LIMIT {PAGE}
"""


async def abandoned(
    connection: Connection, after: int, grace: Any
) -> list[tuple[int, int, str, datetime]]:
    """Uploads that should have been swept for so long: id, partition, stem, end of the lease."""
    return [tuple(row) for row in await connection.fetch(_ABANDONED, after, grace)]


_UNTOLD = """
SELECT partition_id, sop_instance_uid, version, stored.id, coalesce(told.times, 0)
FROM (SELECT id, partition_id, sop_instance_uid, version FROM instance) AS stored
FULL JOIN (
    SELECT partition_id, sop_instance_uid, version, count(*) AS times FROM change
    WHERE action <> 'deleted' GROUP BY partition_id, sop_instance_uid, version
) AS told USING (partition_id, sop_instance_uid, version)
WHERE stored.id IS NULL OR told.times IS DISTINCT FROM 1
"""


async def mistold(connection: Connection) -> AsyncIterator[CheckedChange]:
    """Versions of instances that are not told once in the log; the connection is in a snapshot."""
    async for row in connection.cursor(_UNTOLD, prefetch=PAGE):
        yield CheckedChange(*row)


_KEPT = f"""
SELECT series_id, series_metadata.partition_id, study_instance_uid, series_instance_uid, form
FROM series_metadata JOIN series ON series.id = series_id JOIN study ON study.id = series.study_id
WHERE series_id > $1 ORDER BY series_id LIMIT {PAGE}
"""


async def kept_series(connection: Connection, after: int) -> list[CheckedKept]:
    """A page of series of whose metadata something is kept."""
    return [CheckedKept(*row) for row in await connection.fetch(_KEPT, after)]


_BLOCKS = """
SELECT deflated, length, crc32 FROM series_metadata JOIN series ON series.id = series_id
WHERE series_id = $1 AND series_metadata.revision >= series.revision
"""


async def kept_of(connection: Connection, series_id: int) -> Deflated | None:
    """What is kept of a series and would be sent: now, or later if it is ahead of its series."""
    row = await connection.fetchrow(_BLOCKS, series_id)
    return Deflated(*row) if row else None
