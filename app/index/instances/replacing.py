"""`replace`: instances that take the place of others under the same SOP Instance UID.

Rules:
- The row that was there stays as an old version, with its blob; the new one is the next version.
  Both changes are one transaction, so that at every moment there is one live row to be read.
- Of several who replace the same instance at once each waits for the one before and replaces that
  one's version.
- Locks are taken in the order of `adding`: uploads, instances, studies, series, and among each by
  key.
- Study and series are described as the last instance that replaced another gives them: who corrects
  the name of a patient in every image wants to find it corrected.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as changed_to
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, bindparam, func, literal_column, select, update
from sqlalchemy.types import Text

from app.faults import Point, reach
from app.index import changes, uploads
from app.index.changes import Action, NewChange
from app.index.instances.adding import COLUMNS, add, row_of
from app.index.instances.parents import DESCRIBING_SERIES, DESCRIBING_STUDY, changed
from app.index.instances.values import (
    Added,
    Identical,
    Lapsed,
    Misplaced,
    NewInstance,
    Outcome,
    Replaced,
    StoredBytes,
)
from app.index.statements import Connection, any_of, prepare, prepare_insert, rows_into, table
from app.index.tables import CHANGE_ORDER, Instance, Series, Study


async def replace(
    connection: Connection, partition_id: int, instances: Sequence[NewInstance]
) -> list[Outcome]:
    """Put the instances in the place of those stored under their UIDs; outcomes in their order.

    Of the same bytes, or in another study or series, nothing is replaced. What is not stored any
    more is added. What is of an upload that a sweeper has taken is `Lapsed`. The connection is in a
    transaction, and nothing counts before its commit.
    """
    held = await uploads.hold(connection, {instance.upload_id for instance in instances})
    live = await _locked(connection, partition_id, {i.sop_instance_uid for i in instances})
    outcomes: list[Outcome] = []
    entries: list[NewChange] = []
    replacing: list[tuple[_Live, NewInstance]] = []
    for instance in instances:
        stored = live.get(instance.sop_instance_uid)
        if stored is None:
            outcomes += await add(connection, partition_id, [instance])
            continue
        outcome = _outcome(stored, instance)
        if isinstance(outcome, Replaced) and instance.upload_id not in held:
            outcome = Lapsed()
        outcomes.append(outcome)
        if not isinstance(outcome, Replaced):
            continue
        id_, sequence = await _put(connection, partition_id, stored, instance)
        entries.append(_entry(instance, sequence, outcome.version))
        replacing.append((stored, instance))
        live[instance.sop_instance_uid] = stored.followed_by(instance, id_)
    await _describe(connection, replacing)
    await changes.write(connection, partition_id, entries)
    reach(Point.IN_TRANSACTION)
    return outcomes


@dataclass(frozen=True, slots=True)
class _Live:
    """What is stored under a UID."""

    stored: StoredBytes
    id: int
    study_id: int
    series_id: int
    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    metadata_json: bytes
    version: int

    def followed_by(self, instance: NewInstance, id_: int) -> "_Live":
        """What is stored there after the instance has taken its place."""
        return changed_to(
            self,
            id=id_,
            sop_class_uid=instance.sop_class_uid,
            metadata_json=instance.metadata_json,
            version=self.version + 1,
            stored=instance.stored,
        )


_STUDY, _SERIES, _INSTANCE = table(Study), table(Series), table(Instance)
_STORED = (
    (_INSTANCE.c.partition_id == bindparam("partition_id"))
    & (_INSTANCE.c.sop_instance_uid == any_of("uids", Text()))
    & _INSTANCE.c.removed_at.is_(None)
)
_LOCK = prepare(
    select(
        _INSTANCE.c.sop_instance_uid,
        _INSTANCE.c.id,
        _INSTANCE.c.study_id,
        _INSTANCE.c.series_id,
        _STUDY.c.study_instance_uid,
        _SERIES.c.series_instance_uid,
        _INSTANCE.c.sop_class_uid,
        _INSTANCE.c.metadata_json,
        _INSTANCE.c.version,
        _INSTANCE.c.blob_key,
        _INSTANCE.c.blob_offset,
        _INSTANCE.c.length,
        _INSTANCE.c.sha256,
    )
    .join(_SERIES, _SERIES.c.id == _INSTANCE.c.series_id)
    .join(_STUDY, _STUDY.c.id == _INSTANCE.c.study_id)
    .where(_STORED)
    .order_by(_INSTANCE.c.sop_instance_uid)
    .with_for_update(of=_INSTANCE)
)
_THERE = prepare(select(_INSTANCE.c.sop_instance_uid).where(_STORED))


async def _locked(
    connection: Connection, partition_id: int, uids: Collection[str]
) -> dict[str, _Live]:
    """The live rows of the UIDs, which nobody else changes now; what is not there is left out."""
    found: dict[str, _Live] = {}
    missing = sorted(uids)
    while missing:
        rows = await _LOCK.fetch(connection, partition_id=partition_id, uids=missing)
        for uid, *described, key, offset, length, sha256 in rows:
            found[uid] = _Live(StoredBytes(key, offset, length, sha256), *described)
        # Whose row was replaced while this waited for it has another one by now.
        left = [uid for uid in missing if uid not in found]
        there = await _THERE.fetch(connection, partition_id=partition_id, uids=left) if left else []
        missing = sorted(row[0] for row in there)
    return found


def _outcome(live: _Live, offered: NewInstance) -> Outcome:
    uids = offered.study_instance_uid, offered.series_instance_uid
    if uids != (live.study_instance_uid, live.series_instance_uid):
        return Misplaced(live.study_instance_uid, live.series_instance_uid)
    if offered.blob_key == live.stored.blob_key:
        return Added()
    if offered.sha256 == live.stored.sha256:
        return Identical(live.stored)
    return Replaced(live.version + 1, live.metadata_json)


_REMOVE = prepare(
    update(_INSTANCE)
    .where(_INSTANCE.c.id == bindparam("old_id"))
    .values(removed_at=func.clock_timestamp(), removed_by=literal_column("'replaced'"))
)
_INSERT = prepare_insert(
    rows_into(Instance, *COLUMNS, "version").returning(
        _INSTANCE.c.id, CHANGE_ORDER.next_value().label("sequence")
    )
)


async def _put(
    connection: Connection, partition_id: int, stored: _Live, instance: NewInstance
) -> tuple[int, int]:
    """Make the stored row an old version and the instance the live one; its id, and its place."""
    await _REMOVE.execute(connection, old_id=stored.id)
    row = row_of(partition_id, stored.study_id, stored.series_id, instance)
    ((id_, sequence),) = await _INSERT.insert(connection, [row | {"version": stored.version + 1}])
    return id_, sequence


def _entry(instance: NewInstance, sequence: int, version: int) -> NewChange:
    return NewChange(
        sequence,
        Action.REPLACED,
        instance.study_instance_uid,
        instance.series_instance_uid,
        instance.sop_instance_uid,
        version,
    )


def _as_given(columns: Any, names: Sequence[str]) -> dict[ColumnElement[Any], Any]:
    """What sets columns to the parameters of their names, and brings along every change."""
    return {columns[name]: bindparam(name) for name in names} | changed(columns)


_DESCRIBE_STUDY = prepare(
    update(_STUDY)
    .where(_STUDY.c.id == bindparam("row_id"))
    .values(_as_given(_STUDY.c, DESCRIBING_STUDY))
)
_DESCRIBE_SERIES = prepare(
    update(_SERIES)
    .where(_SERIES.c.id == bindparam("row_id"))
    .values(_as_given(_SERIES.c, DESCRIBING_SERIES))
)

_MODALITIES = prepare(
    select(_SERIES.c.id, _SERIES.c.modality).where(_SERIES.c.id == any_of("ids", BigInteger()))
)


def _values_of(column: ColumnElement[Any], *conditions: ColumnElement[bool]) -> ColumnElement[Any]:
    """The values of a column below the study, each once and in order."""
    values = select(column).where(*conditions).distinct().order_by(column)
    return func.array(values.correlate(_STUDY).scalar_subquery())


_COLLECT = prepare(
    update(_STUDY)
    .where(_STUDY.c.id == bindparam("row_id"))
    .values(
        modalities=_values_of(
            _SERIES.c.modality,
            _SERIES.c.study_id == _STUDY.c.id,
            _SERIES.c.number_of_instances > literal_column("0"),
            _SERIES.c.modality.is_not(None),
        ),
        sop_classes=_values_of(
            _INSTANCE.c.sop_class_uid,
            _INSTANCE.c.study_id == _STUDY.c.id,
            _INSTANCE.c.removed_at.is_(None),
        ),
    )
)


async def _describe(connection: Connection, replacing: Sequence[tuple[_Live, NewInstance]]) -> None:
    """Give studies and series what the last of their instances says of them."""
    studies = {stored.study_id: instance.study for stored, instance in replacing}
    series = {stored.series_id: instance.series for stored, instance in replacing}
    await _DESCRIBE_STUDY.execute_each(connection, _rows(studies, DESCRIBING_STUDY))
    # Not before: whoever else describes these series lets go of the studies with its commit.
    modalities = dict(await _MODALITIES.fetch(connection, ids=sorted(series)))
    await _DESCRIBE_SERIES.execute_each(connection, _rows(series, DESCRIBING_SERIES))
    collected = {
        stored.study_id
        for stored, instance in replacing
        if stored.sop_class_uid != instance.sop_class_uid
        or modalities[stored.series_id] != series[stored.series_id].get("modality")
    }
    await _COLLECT.execute_each(connection, [{"row_id": id_} for id_ in sorted(collected)])


def _rows(columns: Mapping[int, Mapping[str, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    empty = dict.fromkeys(names) | {"request_attributes": [], "sounds": []}
    return [{**empty, **given, "row_id": id_} for id_, given in sorted(columns.items())]
