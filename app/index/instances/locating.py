"""Finding what is stored of instances, all of it through the predicate of `app.index.visibility`.

Every function is one statement, so `Database.reading` is enough for each.
"""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    any_,
    bindparam,
    cast,
    column,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONPATH
from sqlalchemy.types import Text

from app.dicom.dataset import BulkValue
from app.errors import NotFound
from app.index.instances.values import ENTRY, FrameTable, StoredInstance, StoredMetadata
from app.index.statements import Connection, Prepared, prepare, table
from app.index.tables import Instance, Series, Study
from app.index.visibility import Visibility, visible
from app.span import Span

_NEAR = 2000
"""Bytes between two entries that are read along: PostgreSQL fetches so many at a time anyway."""

_STUDY, _SERIES, _INSTANCE = table(Study).c, table(Series).c, table(Instance).c
_UIDS = (_STUDY.study_instance_uid, _SERIES.series_instance_uid, _INSTANCE.sop_instance_uid)


def _columns(kind: type[StoredInstance | StoredMetadata]) -> list[ColumnElement[Any]]:
    """The columns that fill the fields of a value, in their order."""
    uids = {uid.name: uid for uid in _UIDS}
    return [uids[f.name] if f.name in uids else _INSTANCE[f.name] for f in fields(kind)]


def _located(columns: Sequence[ColumnElement[Any]], levels: int) -> Select[Any]:
    """What may be seen below the UIDs of so many levels, in the order of a study's images."""
    return (
        select(*columns)
        .select_from(table(Instance))
        .join(table(Series), _SERIES.id == _INSTANCE.series_id)
        .join(table(Study), _STUDY.id == _INSTANCE.study_id)
        .where(
            *(visible(model) for model in (Study, Series, Instance)),
            *(uid == bindparam(uid.name) for uid in _UIDS[:levels]),
        )
        .order_by(
            _SERIES.series_number,
            _SERIES.series_instance_uid,
            _INSTANCE.instance_number,
            _INSTANCE.sop_instance_uid,
        )
    )


def _by_level(kind: type[StoredInstance | StoredMetadata]) -> dict[int, Prepared]:
    return {levels: prepare(_located(_columns(kind), levels)) for levels in (1, 2, 3)}


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
    for of_level, uid in zip(_UIDS, uids, strict=True):
        if uid is None:
            break
        given[of_level.name] = uid
    return given


_RUN = (
    func.unnest(
        bindparam("offsets", type_=ARRAY(Integer())), bindparam("lengths", type_=ARRAY(Integer()))
    )
    .table_valued(column("offset", Integer()), column("length", Integer()), name="run")
    .render_derived()
)
_RUNS_OF_FRAME_TABLE = prepare(
    select(
        _RUN.c.offset,
        func.substring(_INSTANCE.frame_table, _RUN.c.offset + literal_column("1"), _RUN.c.length),
    )
    .select_from(table(Instance))
    .join(_RUN, true())
    .where(visible(Instance), _INSTANCE.id == bindparam("instance_id"))
)


async def frame_entries(
    connection: Connection, visibility: Visibility, instance_id: int, numbers: Sequence[int]
) -> list[Span]:
    """Where the items of frames lie, counted from the first byte of the instance.

    `instance_id`: of a `StoredInstance` that is `encapsulated`; `numbers`: 1-based, none beyond its
    `number_of_frames`. Only their part of the frame table is read. Raises `NotFound`.
    """
    runs = list(_runs(numbers))
    rows = await _RUNS_OF_FRAME_TABLE.fetch(
        connection,
        **visibility.parameters,
        instance_id=instance_id,
        offsets=[run.offset for run in runs],
        lengths=[run.length for run in runs],
    )
    entries = {
        (offset + at) // ENTRY.size + 1: Span(*ENTRY.unpack_from(run, at))
        for offset, run in rows
        for at in range(0, len(run or b""), ENTRY.size)
    }
    if missing := set(numbers) - entries.keys():
        raise NotFound(f"There is no frame {min(missing)}.")
    return [entries[number] for number in numbers]


_FRAME_TABLE = prepare(
    select(_INSTANCE.frame_table)
    .select_from(table(Instance))
    .where(visible(Instance), _INSTANCE.id == bindparam("instance_id"))
)


async def frame_table(
    connection: Connection, visibility: Visibility, instance_id: int
) -> FrameTable:
    """Where the items of every frame lie, of a `StoredInstance` that is `encapsulated`.

    Raises `NotFound` if it cannot be seen.
    """
    packed = await _FRAME_TABLE.fetchval(
        connection, **visibility.parameters, instance_id=instance_id
    )
    if packed is None:
        raise NotFound("There are no compressed frames.")
    return FrameTable(packed)


def _runs(numbers: Sequence[int]) -> Iterator[Span]:
    """The parts of a frame table with the entries of these frames, near ones in one part."""
    run: Span | None = None
    for number in sorted(set(numbers)):
        entry = Span((number - 1) * ENTRY.size, ENTRY.size)
        if run is not None and entry.offset - run.end <= _NEAR:
            run = Span(run.offset, entry.end - run.offset)
            continue
        if run is not None:
            yield run
        run = entry
    if run is not None:
        yield run


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
