"""`append`: the short way of instances into series that are there already, in one statement.

Most instances that come are not the first of their series, and new, and nobody else has anything to
do with them. For those one exchange with the server does all that `app.index.instances.adding` does
in ten. Whatever is not as simple is left out, untouched, and has to go the long way.

Locks are taken in the order of the long way: uploads, instances, studies, series, and among each of
these by key. Each step of the statement reads from the one before, and so comes after it.
"""

from collections.abc import Sequence

from sqlalchemy import BigInteger, and_, bindparam, func, insert, literal, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import Text

from app.faults import Point, reach
from app.index.changes import WRITTEN, Action
from app.index.instances.adding import COLUMNS, FIRST_VERSION, OWN_COLUMNS, values_of
from app.index.instances.parents import changed, united
from app.index.instances.values import NewInstance
from app.index.statements import Connection, any_of, prepare, rows_given, table
from app.index.tables import CHANGE_ORDER, Change, Instance, Series, Study, Upload

_STUDY, _SERIES, _INSTANCE = table(Study).c, table(Series).c, table(Instance).c
_UPLOAD = table(Upload).c

_PARENTS = {
    "partition_id": _STUDY.partition_id,
    "study_id": _STUDY.id,
    "series_id": _SERIES.id,
}
_TOLD = {
    "upload_id": _UPLOAD.id.type,
    "study_instance_uid": _STUDY.study_instance_uid.type,
    "series_instance_uid": _SERIES.series_instance_uid.type,
    **{name: _INSTANCE[name].type for name in OWN_COLUMNS},
}
"""What is told of each instance: one array for each of these."""

_given = select(*(value.label(name) for name, value in rows_given(_TOLD).items())).cte("given")
_held = (
    select(_UPLOAD.id)
    .where(_UPLOAD.id == any_of("uploads", BigInteger()), _UPLOAD.fence == 0)
    .with_for_update(read=True)
    .cte("held")
)
_new = (
    select(*(_PARENTS[name] if name in _PARENTS else _given.c[name] for name in COLUMNS))
    .select_from(_given)
    .join(_held, _held.c.id == _given.c.upload_id)
    .join(
        table(Study),
        and_(
            _STUDY.partition_id == bindparam("partition_id"),
            _STUDY.study_instance_uid == _given.c.study_instance_uid,
        ),
    )
    .join(
        table(Series),
        and_(
            _SERIES.study_id == _STUDY.id,
            _SERIES.series_instance_uid == _given.c.series_instance_uid,
        ),
    )
    .order_by(_given.c.sop_instance_uid)
)
_added = (
    postgresql.insert(table(Instance))
    .from_select(COLUMNS, _new, include_defaults=False)
    .on_conflict_do_nothing(
        index_elements=["partition_id", "sop_instance_uid"],
        index_where=_INSTANCE.removed_at.is_(None),
    )
    .returning(
        *(_INSTANCE[name] for name in ("study_id", "series_id", "sop_class_uid", "blob_key")),
        CHANGE_ORDER.next_value().label("sequence"),
    )
    .cte("added")
)
_of_study = (
    select(
        _added.c.study_id,
        func.count().label("instances"),
        func.array_agg(_added.c.sop_class_uid, type_=postgresql.ARRAY(Text())).label("sop_classes"),
    )
    .group_by(_added.c.study_id)
    .cte("of_study")
)
_studies = (
    select(_STUDY.id)
    .where(_STUDY.id.in_(select(_of_study.c.study_id)))
    .order_by(_STUDY.id)
    .with_for_update(key_share=True)
    .cte("studies")
)
_counted_in_study = (
    update(table(Study))
    .where(_STUDY.id == _studies.c.id, _STUDY.id == _of_study.c.study_id)
    .values(
        {
            _STUDY.number_of_instances: _STUDY.number_of_instances + _of_study.c.instances,
            _STUDY.sop_classes: united(_STUDY.sop_classes, _of_study.c.sop_classes),
            **changed(_STUDY),
        }
    )
    .returning(_STUDY.id)
    .cte("counted_in_study")
)
_of_series = (
    select(_added.c.series_id, func.count().label("instances"))
    .join(_counted_in_study, _counted_in_study.c.id == _added.c.study_id)
    .group_by(_added.c.series_id)
    .cte("of_series")
)
_some_series = (
    select(_SERIES.id)
    .where(_SERIES.id.in_(select(_of_series.c.series_id)))
    .order_by(_SERIES.id)
    .with_for_update(key_share=True)
    .cte("some_series")
)
_counted_in_series = (
    update(table(Series))
    .where(_SERIES.id == _some_series.c.id, _SERIES.id == _of_series.c.series_id)
    .values(
        {
            _SERIES.number_of_instances: _SERIES.number_of_instances + _of_series.c.instances,
            **changed(_SERIES),
        }
    )
    .cte("counted_in_series")
)
_logged = (
    insert(table(Change))
    .from_select(
        WRITTEN,
        select(
            _added.c.sequence,
            bindparam("partition_id"),
            literal(Action.CREATED.value),
            _given.c.study_instance_uid,
            _given.c.series_instance_uid,
            _given.c.sop_instance_uid,
            literal(FIRST_VERSION),
        ).join_from(_added, _given, _given.c.blob_key == _added.c.blob_key),
        include_defaults=False,
    )
    .cte("logged")
)
_APPEND = prepare(select(_added.c.blob_key).add_cte(_counted_in_series, _logged))


async def append(
    connection: Connection, partition_id: int, instances: Sequence[NewInstance]
) -> set[str]:
    """Add what can be added by the short way; the keys of the blobs of those that were.

    It is committed with that, all of it or nothing, unless the connection is in a transaction.
    """
    rows = [
        {
            **values_of(instance),
            "upload_id": instance.upload_id,
            "study_instance_uid": instance.study_instance_uid,
            "series_instance_uid": instance.series_instance_uid,
        }
        for instance in instances
    ]
    reach(Point.IN_TRANSACTION)
    added = await _APPEND.fetch(
        connection,
        partition_id=partition_id,
        uploads=sorted({instance.upload_id for instance in instances}),
        **{name: [row[name] for row in rows] for name in _TOLD},
    )
    return {blob_key for (blob_key,) in added}
