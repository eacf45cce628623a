"""Labels of studies: what administrators put on them, for grants to name.

What a search can see changes with them (see `app.index.totals`).
"""

from collections.abc import Sequence

from app.index.database import Connection
from app.index.tables import CHANGE_ORDER


async def labels_of(
    connection: Connection, partition_id: int, study_instance_uid: str
) -> list[str] | None:
    """The labels of a study; None if there is no such study."""
    labels: list[str] | None = await connection.fetchval(
        "SELECT labels FROM study WHERE partition_id = $1 AND study_instance_uid = $2"
        " AND number_of_instances > 0",
        partition_id,
        study_instance_uid,
    )
    return labels


async def label(
    connection: Connection, partition_id: int, study_instance_uid: str, labels: Sequence[str]
) -> bool:
    """Give a study these labels instead of those it had; False if there is no such study."""
    found = await connection.fetchval(
        "UPDATE study SET labels = $3 WHERE partition_id = $1 AND study_instance_uid = $2"
        " AND number_of_instances > 0"
        f" RETURNING id, nextval('{CHANGE_ORDER.name}')",
        partition_id,
        study_instance_uid,
        sorted(set(labels)),
    )
    return found is not None
