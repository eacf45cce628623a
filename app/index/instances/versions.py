"""The versions of an instance: the live one, and those whose place it has taken."""

from sqlalchemy import bindparam, select

from app.index.instances.locating import UIDS, columns_of
from app.index.instances.values import StoredInstance
from app.index.statements import Connection, prepare, table
from app.index.tables import Instance, Series, Study
from app.index.visibility import Visibility, visible, visible_version

_STUDY, _SERIES, _INSTANCE = table(Study).c, table(Series).c, table(Instance).c
_VERSIONS = prepare(
    select(*columns_of(StoredInstance))
    .select_from(table(Instance))
    .join(table(Series), _SERIES.id == _INSTANCE.series_id)
    .join(table(Study), _STUDY.id == _INSTANCE.study_id)
    .where(
        visible(Study),
        visible(Series),
        visible_version(),
        *(uid == bindparam(uid.name) for uid in UIDS),
    )
    .order_by(_INSTANCE.version.desc()),
    joined=True,
)


async def locate_versions(
    connection: Connection,
    visibility: Visibility,
    study_instance_uid: str,
    series_instance_uid: str,
    sop_instance_uid: str,
) -> list[StoredInstance]:
    """Every version of an instance, the newest first, which is the one that others find.

    [] if the instance is not visible.
    """
    rows = await _VERSIONS.fetch(
        connection,
        **visibility.parameters,
        study_instance_uid=study_instance_uid,
        series_instance_uid=series_instance_uid,
        sop_instance_uid=sop_instance_uid,
    )
    return [StoredInstance(*row) for row in rows]
