"""The studies and series that instances belong to: made with their first one, counted with each."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orjson import dumps
from sqlalchemy import BigInteger, ColumnElement, bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text

from app.index.instances.racing import find_or_make
from app.index.instances.values import NewInstance
from app.index.statements import (
    Connection,
    any_of,
    prepare,
    prepare_insert,
    rows_into,
    table,
)
from app.index.tables import Series, Study

SeriesKey = tuple[int, str]
"""Of a series: the id of its study and its UID."""

_STUDY, _SERIES = table(Study), table(Series)
_COMPUTED = {
    *("id", "modalities", "sop_classes", "number_of_series", "number_of_instances"),
    *("revision", "created_at", "updated_at", "labels"),
}
_GIVEN_TO_STUDY = [column.name for column in _STUDY.c if column.name not in _COMPUTED]
_GIVEN_TO_SERIES = [column.name for column in _SERIES.c if column.name not in _COMPUTED]
_NAMING = {"partition_id", "study_instance_uid"}

DESCRIBING_STUDY = [name for name in _GIVEN_TO_STUDY if name not in _NAMING]
"""The columns of a study that an instance gives it."""
DESCRIBING_SERIES = [
    name for name in _GIVEN_TO_SERIES if name not in {*_NAMING, "study_id", "series_instance_uid"}
]
"""The columns of a series that an instance gives it."""


@dataclass(frozen=True, slots=True)
class Parents:
    """The ids of the rows that instances belong to, and what of them was made for the instances."""

    studies: Mapping[str, int]
    series: Mapping[SeriesKey, int]
    new_studies: Collection[str]
    new_series: Mapping[SeriesKey, str | None]
    """With the modality of each."""

    def study_id(self, instance: NewInstance) -> int:
        """The id of the instance's study."""
        return self.studies[instance.study_instance_uid]

    def series_id(self, instance: NewInstance) -> int:
        """The id of the instance's series."""
        return self.series[self.study_id(instance), instance.series_instance_uid]


async def parents_of(
    connection: Connection, partition_id: int, instances: Iterable[NewInstance]
) -> Parents:
    """The studies and series of the instances; a new one is filled from the first that has it."""
    firsts: dict[tuple[str, str], NewInstance] = {}
    for instance in instances:
        firsts.setdefault((instance.study_instance_uid, instance.series_instance_uid), instance)
    studies, new_studies = await _studies(connection, partition_id, firsts.values())
    series, new_series = await _series(connection, partition_id, firsts.values(), studies)
    return Parents(studies, series, new_studies, new_series)


_FIND_STUDIES = prepare(
    select(_STUDY.c.study_instance_uid, _STUDY.c.id).where(
        _STUDY.c.partition_id == bindparam("partition_id"),
        _STUDY.c.study_instance_uid == any_of("uids", Text()),
    )
)
_MAKE_STUDIES = prepare_insert(
    rows_into(Study, *_GIVEN_TO_STUDY)
    .on_conflict_do_nothing(index_elements=["partition_id", "study_instance_uid"])
    .returning(_STUDY.c.study_instance_uid, _STUDY.c.id)
)


async def _studies(
    connection: Connection, partition_id: int, instances: Iterable[NewInstance]
) -> tuple[dict[str, int], Collection[str]]:
    rows: dict[str, dict[str, Any]] = {}
    for instance in instances:
        uid = instance.study_instance_uid
        own = {"partition_id": partition_id, "study_instance_uid": uid}
        rows.setdefault(uid, {**instance.study, **own, **_as_text(instance.study)})

    async def find(uids: Collection[str]) -> dict[str, int]:
        found = await _FIND_STUDIES.fetch(connection, partition_id=partition_id, uids=list(uids))
        return dict(found)

    async def make(uids: Collection[str]) -> dict[str, int]:
        return dict(await _MAKE_STUDIES.insert(connection, [rows[uid] for uid in uids]))

    found, made = await find_or_make(rows, find, make)
    return found | made, made


_FIND_SERIES = prepare(
    select(_SERIES.c.study_id, _SERIES.c.series_instance_uid, _SERIES.c.id).where(
        _SERIES.c.study_id == any_of("study_ids", BigInteger()),
        _SERIES.c.series_instance_uid == any_of("uids", Text()),
    )
)
_MAKE_SERIES = prepare_insert(
    rows_into(Series, *_GIVEN_TO_SERIES)
    .on_conflict_do_nothing(index_elements=["study_id", "series_instance_uid"])
    .returning(_SERIES.c.study_id, _SERIES.c.series_instance_uid, _SERIES.c.id, _SERIES.c.modality)
)


async def _series(
    connection: Connection,
    partition_id: int,
    instances: Iterable[NewInstance],
    studies: Mapping[str, int],
) -> tuple[dict[SeriesKey, int], dict[SeriesKey, str | None]]:
    rows: dict[SeriesKey, dict[str, Any]] = {}
    for instance in instances:
        study_id, uid = studies[instance.study_instance_uid], instance.series_instance_uid
        rows[study_id, uid] = {
            **instance.series,
            **_as_text(instance.series),
            "partition_id": partition_id,
            "study_id": study_id,
            "series_instance_uid": uid,
            "request_attributes": dumps(instance.series.get("request_attributes", [])).decode(),
        }

    async def find(keys: Collection[SeriesKey]) -> dict[SeriesKey, Any]:
        study_ids, uids = zip(*keys, strict=True)
        found = await _FIND_SERIES.fetch(connection, study_ids=study_ids, uids=uids)
        return {(row["study_id"], row["series_instance_uid"]): row for row in found}

    async def make(keys: Collection[SeriesKey]) -> dict[SeriesKey, Any]:
        made = await _MAKE_SERIES.insert(connection, [rows[key] for key in keys])
        return {(row["study_id"], row["series_instance_uid"]): row for row in made}

    found, made = await find_or_make(rows, find, make)
    ids = {key: row["id"] for key, row in (found | made).items()}
    return ids, {key: row["modality"] for key, row in made.items()}


def _as_text(columns: Mapping[str, Any]) -> dict[str, str | None]:
    """The further values and the sounds, as `rows_into` takes JSON and arrays."""
    further = columns.get("further_values")
    return {
        "further_values": None if further is None else dumps(further).decode(),
        "sounds": f"{{{','.join(columns.get('sounds', ()))}}}",
    }


def united(column: ColumnElement[Any], more: ColumnElement[Any]) -> ColumnElement[Any]:
    """The values of two arrays of texts, each once and in order."""
    value = func.unnest(column + more).column_valued("value")
    return func.array(select(value).distinct().order_by(value).scalar_subquery())


def changed(columns: Any) -> dict[ColumnElement[Any], Any]:
    """What every change of a study or series brings along. Time goes on even if clocks go back."""
    return {
        columns.revision: columns.revision + 1,
        columns.updated_at: func.greatest(columns.updated_at, func.clock_timestamp()),
    }


def _texts(parameter: str) -> ColumnElement[Any]:
    return bindparam(parameter, type_=ARRAY(Text()))


_COUNT_IN_STUDY = prepare(
    update(_STUDY)
    .where(_STUDY.c.id == bindparam("study_id"))
    .values(
        {
            _STUDY.c.number_of_series: _STUDY.c.number_of_series + bindparam("series"),
            _STUDY.c.number_of_instances: _STUDY.c.number_of_instances + bindparam("instances"),
            _STUDY.c.modalities: united(_STUDY.c.modalities, _texts("modalities")),
            _STUDY.c.sop_classes: united(_STUDY.c.sop_classes, _texts("sop_classes")),
            **changed(_STUDY.c),
        }
    )
)
_COUNT_IN_SERIES = prepare(
    update(_SERIES)
    .where(_SERIES.c.id == bindparam("series_id"))
    .values(
        {
            _SERIES.c.number_of_instances: _SERIES.c.number_of_instances + bindparam("instances"),
            **changed(_SERIES.c),
        }
    )
)
_UNMAKE_SERIES = prepare(delete(_SERIES).where(_SERIES.c.id == any_of("ids", BigInteger())))
_UNMAKE_STUDIES = prepare(delete(_STUDY).where(_STUDY.c.id == any_of("ids", BigInteger())))


async def count(connection: Connection, parents: Parents, added: Sequence[NewInstance]) -> None:
    """Count the instances that were added. What was made for others, which were not, is unmade."""
    await _unmake_empty(connection, parents, added)
    of_study: defaultdict[int, list[NewInstance]] = defaultdict(list)
    for instance in added:
        of_study[parents.study_id(instance)].append(instance)
    await _COUNT_IN_STUDY.execute_each(
        connection,
        [_study_difference(parents, *each) for each in sorted(of_study.items())],
    )
    of_series = Counter(map(parents.series_id, added))
    await _COUNT_IN_SERIES.execute_each(
        connection,
        [{"series_id": key, "instances": number} for key, number in sorted(of_series.items())],
    )


def _study_difference(
    parents: Parents, study_id: int, added: Sequence[NewInstance]
) -> dict[str, Any]:
    series = {(study_id, instance.series_instance_uid) for instance in added}
    new = [parents.new_series[key] for key in series if key in parents.new_series]
    return {
        "study_id": study_id,
        "series": len(new),
        "instances": len(added),
        "modalities": [modality for modality in new if modality is not None],
        "sop_classes": list({instance.sop_class_uid for instance in added}),
    }


async def _unmake_empty(
    connection: Connection, parents: Parents, added: Sequence[NewInstance]
) -> None:
    kept = {(parents.study_id(i), i.series_instance_uid) for i in added}
    if empty := [parents.series[key] for key in parents.new_series if key not in kept]:
        await _UNMAKE_SERIES.execute(connection, ids=empty)
    kept_studies = {study_id for study_id, _ in kept}
    made = [parents.studies[uid] for uid in parents.new_studies]
    if empty := [study_id for study_id in made if study_id not in kept_studies]:
        await _UNMAKE_STUDIES.execute(connection, ids=empty)
