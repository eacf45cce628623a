"""`rehouse`: a stored instance whose bytes were lost gets the same bytes from another blob.

No new version, no entry in the log of changes: for whoever asks nothing has changed.
"""

from sqlalchemy import bindparam, update

from app.index import uploads
from app.index.instances.values import NewInstance, StoredBytes
from app.index.statements import Connection, prepare, table
from app.index.tables import Instance

_INSTANCE = table(Instance)
_REHOUSE = prepare(
    update(_INSTANCE)
    .where(
        _INSTANCE.c.partition_id == bindparam("of_partition"),
        _INSTANCE.c.sop_instance_uid == bindparam("uid"),
        _INSTANCE.c.removed_at.is_(None),
        _INSTANCE.c.blob_key == bindparam("lost_key"),
        _INSTANCE.c.sha256 == bindparam("same_sha256"),
    )
    .values(blob_key=bindparam("new_key"), blob_offset=bindparam("new_offset"))
    .returning(_INSTANCE.c.id)
)


async def rehouse(
    connection: Connection, partition_id: int, lost: StoredBytes, instance: NewInstance
) -> bool:
    """Let the stored instance have the blob of `instance`, which holds the bytes that it has lost.

    Whether it was done: not if it has another blob by now, or if a sweeper has taken the upload.
    The connection is in a transaction. What is left of the blob that was lost is nobody's then.
    """
    if not await uploads.hold(connection, {instance.upload_id}):
        return False
    moved = await _REHOUSE.fetchval(
        connection,
        of_partition=partition_id,
        uid=instance.sop_instance_uid,
        lost_key=lost.blob_key,
        same_sha256=instance.sha256,
        new_key=instance.blob_key,
        new_offset=instance.blob_offset,
    )
    return moved is not None
