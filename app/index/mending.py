"""How a check mends the index: only what follows from what is there, and only if it is still so.

Counts are mended by `app.index.recount`.
"""

from collections.abc import Mapping
from typing import Any

from app.index.statements import Connection
from app.index.tables import Instance, Series, Study
from app.index.uploads import QUARANTINE, KeyParts

_DESCRIBED = {
    "study": (Study, "attributes"),
    "series": (Series, "attributes"),
    "instance": (Instance, "metadata_json"),
}
"""Where each kind lies, and which column says what the others have to."""


async def set_columns(
    connection: Connection, kind: str, row_id: int, columns: Mapping[str, Any], source: bytes
) -> None:
    """Set columns of a study, a series or an instance (`kind`) to what its attributes say.

    `source`: the attributes as they were read; if they are others by now, nothing is set. A study
    or a series gets a new revision with that, since what search returns has changed.
    """
    described, told_by = _DESCRIBED[kind]
    known = described.model_fields
    names = [name for name in columns if name in known]
    sets = [f"{name} = ${number}" for number, name in enumerate(names, 3)]
    if kind != "instance":
        sets += ["revision = revision + 1", "updated_at = greatest(updated_at, clock_timestamp())"]
    await connection.execute(
        f"UPDATE {kind} SET {', '.join(sets)} WHERE id = $1 AND {told_by} = $2",
        row_id,
        source,
        *(columns[name] for name in names),
    )


async def drop_kept_metadata(connection: Connection, series_id: int) -> None:
    """Drop what is kept of a series' metadata: it is made again when somebody asks for it."""
    await connection.execute("DELETE FROM series_metadata WHERE series_id = $1", series_id)


_TELL = """
INSERT INTO change (
    partition_id, action, study_instance_uid, series_instance_uid, sop_instance_uid, version
)
SELECT instance.partition_id, CASE version WHEN 1 THEN 'created' ELSE 'replaced' END,
    study_instance_uid, series_instance_uid, sop_instance_uid, version
FROM instance JOIN series ON series.id = instance.series_id
    JOIN study ON study.id = instance.study_id
WHERE instance.id = $1 AND NOT EXISTS (
    SELECT 1 FROM change
    WHERE change.partition_id = instance.partition_id AND action <> 'deleted'
    AND change.sop_instance_uid = instance.sop_instance_uid AND change.version = instance.version
)
"""


async def tell_of(connection: Connection, instance_id: int) -> None:
    """Tell of an instance in the log of changes, late, if that does not tell of it; in a
    transaction."""
    # Of two checks at once, the second one waits here and sees then what the first one has told.
    await connection.execute("SELECT id FROM instance WHERE id = $1 FOR NO KEY UPDATE", instance_id)
    await connection.execute(_TELL, instance_id)


_GIVE_UP = """
INSERT INTO upload (partition_id, key_stem, number_of_keys, lease_until, fence)
VALUES ($1, $2, $3, now() + $4::interval, 2)
ON CONFLICT (key_stem) DO UPDATE
    SET number_of_keys = greatest(upload.number_of_keys, excluded.number_of_keys),
        fence = greatest(upload.fence, excluded.fence),
        lease_until = CASE upload.fence
            WHEN 0 THEN excluded.lease_until ELSE upload.lease_until END
    WHERE upload.fence > 0 OR upload.lease_until < now()
"""


async def give_up(connection: Connection, blob: KeyParts) -> None:
    """Leave a blob to the sweepers, in a week: an upload that was taken twice owns it.

    If an upload has it that has not ended, that stays so: the blob is unknown once it has.
    """
    keys = blob.number + 1
    await connection.execute(_GIVE_UP, blob.partition_id, blob.stem, keys, QUARANTINE)
