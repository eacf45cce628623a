"""`add`: the way of instances into the index.

Rules:
- What is there already is found by reading: to store it again writes nothing and waits for nobody.
- Of several who add the same row at once, a unique index lets one through; the others wait for the
  end of its transaction and then find its row.
- An upload that a sweeper has taken adds nothing any more: its blobs may be gone.
- Everybody takes locks in the same order, so that nobody waits in a circle: uploads, new studies,
  new series, new instances, counts of studies, counts of series, and among each of these by key.
- Counts come last, since whoever has changed them holds up the others of the study until the end.
  They are changed by differences, so that no order of events can make them wrong.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from orjson import dumps
from sqlalchemy import bindparam, select
from sqlalchemy.types import Text

from app.faults import Point, reach
from app.index import changes, uploads
from app.index.changes import Action, NewChange
from app.index.instances.parents import count, parents_of
from app.index.instances.racing import find_or_make
from app.index.instances.values import (
    Added,
    Differs,
    Identical,
    Lapsed,
    Misplaced,
    NewInstance,
    Outcome,
    StoredBytes,
)
from app.index.statements import (
    Connection,
    any_of,
    prepare,
    prepare_insert,
    rows_into,
    table,
)
from app.index.tables import CHANGE_ORDER, Instance, Series, Study

BYTES_OF_STATEMENT = 16 * 1024 * 1024
"""Rows beyond that go to the server in a further statement."""

FIRST_VERSION = 1


async def add(
    connection: Connection, partition_id: int, instances: Sequence[NewInstance]
) -> list[Outcome]:
    """Give the instances their rows, and tell what became of each, in their order.

    With an instance come its study and series, if it is their first, the counts of both and an
    entry in the log of changes. The connection is in a transaction, and nothing counts before its
    commit. An instance whose very blob is in the index already is `Added`: a commit of unknown
    outcome can be tried again. One whose upload was taken by a sweeper is `Lapsed`, unless it is
    in the index already.
    """
    held = await uploads.hold(connection, {instance.upload_id for instance in instances})
    offered: dict[str, NewInstance] = {}
    lapsed: set[str] = set()
    for instance in instances:
        if instance.upload_id in held:
            offered.setdefault(instance.sop_instance_uid, instance)
        else:
            lapsed.add(instance.sop_instance_uid)

    async def find(uids: Collection[str]) -> dict[str, _Stored]:
        rows = await _FIND.fetch(connection, partition_id=partition_id, uids=list(uids))
        return {
            uid: _Stored(study, series, StoredBytes(*lying), received, id_)
            for uid, study, series, id_, *lying, received in rows
        }

    async def make(uids: Collection[str]) -> dict[str, _Stored]:
        missing = [instance for uid, instance in offered.items() if uid in uids]
        added = await _insert(connection, partition_id, missing)
        return {instance.sop_instance_uid: _Stored.of(instance) for instance in added}

    found, made = await find_or_make(offered, find, make)
    stored = found | made
    if unknown := lapsed - stored.keys():
        stored |= await find(unknown)
    if made:
        reach(Point.IN_TRANSACTION)
    return [
        await _outcome(connection, instance, stored.get(instance.sop_instance_uid))
        for instance in instances
    ]


@dataclass(frozen=True, slots=True)
class _Stored:
    """What an offered instance is compared with."""

    study_instance_uid: str
    series_instance_uid: str
    stored: StoredBytes
    received_sha256: bytes | None
    id: int | None = None
    metadata_json: bytes = b""
    """Of an instance of the same request; that of others is looked up by their id, if needed."""

    @classmethod
    def of(cls, instance: NewInstance) -> "_Stored":
        return cls(
            instance.study_instance_uid,
            instance.series_instance_uid,
            instance.stored,
            instance.received_sha256,
            metadata_json=instance.metadata_json,
        )


_STUDY, _SERIES, _INSTANCE = table(Study).c, table(Series).c, table(Instance).c

_FIND = prepare(
    select(
        _INSTANCE.sop_instance_uid,
        _STUDY.study_instance_uid,
        _SERIES.series_instance_uid,
        _INSTANCE.id,
        _INSTANCE.blob_key,
        _INSTANCE.blob_offset,
        _INSTANCE.length,
        _INSTANCE.sha256,
        _INSTANCE.received_sha256,
    )
    .join(table(Series), _SERIES.id == _INSTANCE.series_id)
    .join(table(Study), _STUDY.id == _INSTANCE.study_id)
    .where(
        _INSTANCE.partition_id == bindparam("partition_id"),
        _INSTANCE.sop_instance_uid == any_of("uids", Text()),
        _INSTANCE.removed_at.is_(None),
    )
)
_METADATA = prepare(select(_INSTANCE.metadata_json).where(_INSTANCE.id == bindparam("id")))


async def _outcome(connection: Connection, offered: NewInstance, found: _Stored | None) -> Outcome:
    if found is None:
        return Lapsed()
    uids = offered.study_instance_uid, offered.series_instance_uid
    if uids != (found.study_instance_uid, found.series_instance_uid):
        return Misplaced(found.study_instance_uid, found.series_instance_uid)
    if offered.sha256 != found.stored.sha256:
        metadata = found.metadata_json
        if found.id is not None:
            metadata = await _METADATA.fetchval(connection, id=found.id)
        return Differs(found.stored, metadata, found.received_sha256)
    return Added() if offered.stored == found.stored else Identical(found.stored)


COLUMNS = tuple(
    column.name
    for column in _INSTANCE
    if column.name not in {"id", "version", "created_at", "removed_at", "removed_by"}
)
"""The columns that a new row is given; its version, if it is not the first one, comes on top."""
OWN_COLUMNS = tuple(n for n in COLUMNS if n not in {"partition_id", "study_id", "series_id"})
"""Those that tell of the instance alone."""

_INSERT = prepare_insert(
    rows_into(Instance, *COLUMNS)
    .on_conflict_do_nothing(
        index_elements=["partition_id", "sop_instance_uid"],
        index_where=_INSTANCE.removed_at.is_(None),
    )
    .returning(_INSTANCE.sop_instance_uid, CHANGE_ORDER.next_value().label("sequence"))
)


async def _insert(
    connection: Connection, partition_id: int, instances: Sequence[NewInstance]
) -> list[NewInstance]:
    """Add those whose UIDs are free, and return them."""
    parents = await parents_of(connection, partition_id, instances)
    rows = [
        row_of(partition_id, parents.study_id(instance), parents.series_id(instance), instance)
        for instance in instances
    ]
    rows.sort(key=lambda row: row["sop_instance_uid"])
    sequences: dict[str, int] = {}
    for portion in _portions(rows):
        sequences |= dict(await _INSERT.insert(connection, portion))
    added = [instance for instance in instances if instance.sop_instance_uid in sequences]
    await count(connection, parents, added)
    entries = [_creation(instance, sequences[instance.sop_instance_uid]) for instance in added]
    await changes.write(connection, partition_id, entries)
    return added


def row_of(
    partition_id: int, study_id: int, series_id: int, instance: NewInstance
) -> dict[str, Any]:
    """The values of `COLUMNS` for an instance below the rows of its study and series."""
    return values_of(instance) | {
        "partition_id": partition_id,
        "study_id": study_id,
        "series_id": series_id,
    }


def values_of(instance: NewInstance) -> dict[str, Any]:
    """The values of `OWN_COLUMNS` for an instance."""
    bulk = [[v.path, v.vr, v.span.offset, v.span.length] for v in instance.bulk]
    return {name: getattr(instance, name) for name in OWN_COLUMNS if name != "bulk"} | {
        "bulk": dumps(bulk).decode()
    }


def _portions(rows: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    portion: list[dict[str, Any]] = []
    left = BYTES_OF_STATEMENT
    for row in rows:
        size = len(row["metadata_json"]) + len(row["frame_table"] or b"")
        if portion and size > left:
            yield portion
            portion, left = [], BYTES_OF_STATEMENT
        portion.append(row)
        left -= size
    yield portion


def _creation(instance: NewInstance, sequence: int) -> NewChange:
    return NewChange(
        sequence,
        Action.CREATED,
        instance.study_instance_uid,
        instance.series_instance_uid,
        instance.sop_instance_uid,
        FIRST_VERSION,
    )
