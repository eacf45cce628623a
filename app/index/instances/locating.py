"""Finding what is stored of instances, all of it through the predicate of `app.index.visibility`.

Every function is one statement, so `Database.reading` is enough for each.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    any_,
    bindparam,
    cast,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONPATH
from sqlalchemy.types import Text

from app.dicom.dataset import BulkValue
from app.errors import NotFound
from app.index.instances.values import StoredInstance, StoredMetadata
from app.index.statements import Connection, Prepared, prepare, table
from app.index.tables import Instance, Series, Study
from app.index.visibility import Visibility, visible
from app.span import Span

_STUDY, _SERIES, _INSTANCE = table(Study).c, table(Series).c, table(Instance).c
UIDS = (_STUDY.study_instance_uid, _SERIES.series_instance_uid, _INSTANCE.sop_instance_uid)
"""By which an instance is found, from the outside in."""


def columns_of(kind: type[StoredInstance | StoredMetadata]) -> list[ColumnElement[Any]]:
    """The columns that fill the fields of a value, in their order."""
    uids = {uid.name: uid for uid in UIDS}
    return [uids[f.name] if f.name in uids else _INSTANCE[f.name] for f in fields(kind)]


def located(columns: Sequence[ColumnElement[Any]], levels: int) -> Select[Any]:
    """What may be seen below the UIDs of so many levels, in the order of a study's images."""
    return (
        select(*columns)
        .select_from(table(Instance))
        .join(table(Series), _SERIES.id == _INSTANCE.series_id)
        .join(table(Study), _STUDY.id == _INSTANCE.study_id)
        .where(
            *(visible(model) for model in (Study, Series, Instance)),
            *(uid == bindparam(uid.name) for uid in UIDS[:levels]),
        )
        .order_by(
            _SERIES.series_number,
            _SERIES.series_instance_uid,
            _INSTANCE.instance_number,
            _INSTANCE.sop_instance_uid,
        )
    )


def _by_level(kind: type[StoredInstance | StoredMetadata]) -> dict[int, Prepared]:
    return {levels: prepare(located(columns_of(kind), levels), joined=True) for levels in (1, 2, 3)}


_LOCATE = _by_level(StoredInstance)
_LOCATE_METADATA = _by_level(StoredMetadata)


async def locate(
    connection: Connection,
    visibility: Visibility,
    study_instance_uid: str,
    series_instance_uid: str | None = None,
    sop_instance_uid: str | None = None,
) -> list[StoredInstance]:
    """The instances of a study or of one of its series, or one instance; [] if none is visible.

    Ordered by series number, then series UID, instance number, SOP Instance UID; numbers that are
    missing come last.
    """
    uids = _given(study_instance_uid, series_instance_uid, sop_instance_uid)
    rows = await _LOCATE[len(uids)].fetch(connection, **visibility.parameters, **uids)
    return [StoredInstance(*row) for row in rows]


async def locate_metadata(
    connection: Connection,
    visibility: Visibility,
    study_instance_uid: str,
    series_instance_uid: str | None = None,
    sop_instance_uid: str | None = None,
) -> list[StoredMetadata]:
    """The DICOM JSON of what `locate` would find, in the same order."""
    uids = _given(study_instance_uid, series_instance_uid, sop_instance_uid)
    rows = await _LOCATE_METADATA[len(uids)].fetch(connection, **visibility.parameters, **uids)
    return [StoredMetadata(*row) for row in rows]


_METADATA_OF = prepare(
    select(_INSTANCE.id, _INSTANCE.metadata_json).where(
        visible(Instance),
        _INSTANCE.id == any_(bindparam("instance_ids", type_=ARRAY(BigInteger()))),
    )
)


async def metadata_of(
    connection: Connection, visibility: Visibility, instance_ids: Sequence[int]
) -> dict[int, bytes]:
    """The compressed DICOM JSON of instances by their id; what is not visible is left out.

    For who reads many instances a page at a time.
    """
    rows = await _METADATA_OF.fetch(
        connection, **visibility.parameters, instance_ids=list(instance_ids)
    )
    return {row[0]: row[1] for row in rows}


def _given(*uids: str | None) -> dict[str, str]:
    """The UIDs from the study down to the first that is missing, by the names of their columns."""
    given = {}
    for of_level, uid in zip(UIDS, uids, strict=True):
        if uid is None:
            break
        given[of_level.name] = uid
    return given


_BULK_VALUE = prepare(
    select(
        func.jsonb_path_query_first(
            _INSTANCE.bulk,
            cast(literal_column("'strict $[*] ? (@[0] == $path)'"), JSONPATH),
            func.jsonb_build_object(literal_column("'path'"), bindparam("path", type_=Text())),
        )
    ).where(visible(Instance), _INSTANCE.id == bindparam("instance_id"))
)


async def bulk_value(
    connection: Connection, visibility: Visibility, instance_id: int, path: str
) -> BulkValue:
    """The value of a `StoredInstance` that is not in its JSON, by its path. Raises `NotFound`."""
    found = await _BULK_VALUE.fetchval(
        connection, **visibility.parameters, instance_id=instance_id, path=path
    )
    if found is None:
        raise NotFound("There is no bulk value at this path.")
    path, vr, offset, length = found
    return BulkValue(path, vr, Span(offset, length))


_BULK_VALUES = prepare(
    select(_INSTANCE.id, _INSTANCE.bulk).where(
        visible(Instance),
        _INSTANCE.id == any_(bindparam("instance_ids", type_=ARRAY(BigInteger()))),
    )
)


async def bulk_values(
    connection: Connection, visibility: Visibility, instance_ids: Sequence[int]
) -> dict[int, list[BulkValue]]:
    """Every value of instances that is not in their JSON, but for pixel data, by their ids."""
    rows = await _BULK_VALUES.fetch(
        connection, **visibility.parameters, instance_ids=list(instance_ids)
    )
    return {
        instance_id: [
            BulkValue(path, vr, Span(offset, length)) for path, vr, offset, length in bulk
        ]
        for instance_id, bulk in rows
    }
