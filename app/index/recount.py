"""Counting again what studies and series say of their instances, and setting it right."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Text,
    bindparam,
    cast,
    distinct,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by

from app.index.instances.parents import changed
from app.index.statements import Connection, prepare, table
from app.index.tables import Instance, Series, Study

_STUDY, _SERIES, _INSTANCE = table(Study).c, table(Series).c, table(Instance).c


@dataclass(frozen=True, slots=True)
class Counts:
    """What a study says of its instances; of a series, only how many they are."""

    instances: int
    series: int | None = None
    modalities: tuple[str, ...] = ()
    sop_classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Miscount:
    """A study, or one of its series, whose row does not say what is there."""

    study_id: int
    partition_id: int
    study_instance_uid: str
    series_instance_uid: str | None
    said: Counts
    counted: Counts


def _values(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Its values, each once and in order, without null; an empty array if there are none."""
    values = func.array_agg(aggregate_order_by(distinct(column), column))
    none = cast(literal_column("'{}'"), ARRAY(Text()))
    return func.coalesce(values.filter(column.is_not(None)), none)


_NONE: ColumnElement[int] = literal_column("0")
_LAST = 2**63 - 1


def _looked_at(study_id: ColumnElement[Any]) -> ColumnElement[bool]:
    """Of the range of studies that is counted."""
    first, last = bindparam("first", type_=BigInteger()), bindparam("last", type_=BigInteger())
    return study_id.between(first, last)


_OF_STUDY = (
    select(
        _STUDY.id,
        func.count(_INSTANCE.id).label("instances"),
        func.count(distinct(_INSTANCE.series_id)).label("series"),
        _values(_SERIES.modality).label("modalities"),
        _values(_INSTANCE.sop_class_uid).label("sop_classes"),
    )
    .select_from(table(Study))
    .outerjoin(table(Instance), (_INSTANCE.study_id == _STUDY.id) & _INSTANCE.removed_at.is_(None))
    .outerjoin(table(Series), _SERIES.id == _INSTANCE.series_id)
    .where(_looked_at(_STUDY.id))
    .group_by(_STUDY.id)
    .subquery("counted")
    .c
)
_SAID = (
    _STUDY.number_of_instances,
    _STUDY.number_of_series,
    _STUDY.modalities,
    _STUDY.sop_classes,
)
_COUNTED = (_OF_STUDY.instances, _OF_STUDY.series, _OF_STUDY.modalities, _OF_STUDY.sop_classes)
_MISCOUNTED_STUDIES = prepare(
    select(_STUDY.id, _STUDY.partition_id, _STUDY.study_instance_uid, *_SAID, *_COUNTED)
    .join(_OF_STUDY.id.table, _OF_STUDY.id == _STUDY.id)
    .where(or_(*(said != counted for said, counted in zip(_SAID, _COUNTED, strict=True))))
    .order_by(_STUDY.id)
)

_OF_SERIES = (
    select(_INSTANCE.series_id, func.count().label("instances"))
    .where(_INSTANCE.removed_at.is_(None), _looked_at(_INSTANCE.study_id))
    .group_by(_INSTANCE.series_id)
    .subquery("counted")
    .c
)
_MISCOUNTED_SERIES = prepare(
    select(
        _STUDY.id,
        _STUDY.partition_id,
        _STUDY.study_instance_uid,
        _SERIES.series_instance_uid,
        _SERIES.number_of_instances,
        func.coalesce(_OF_SERIES.instances, _NONE),
    )
    .join(table(Series), _SERIES.study_id == _STUDY.id)
    .outerjoin(_OF_SERIES.series_id.table, _OF_SERIES.series_id == _SERIES.id)
    .where(
        _looked_at(_SERIES.study_id),
        _SERIES.number_of_instances != func.coalesce(_OF_SERIES.instances, _NONE),
    )
    .order_by(_SERIES.id)
)


async def miscounted(
    connection: Connection, *, first: int = 0, last: int = _LAST
) -> list[Miscount]:
    """The studies and series of all partitions whose rows are wrong; [] if all are right.

    `first`, `last`: ids of the studies between which to look. Reads each of their instances, so all
    at once take their time; right for a `Database.snapshot`.
    """
    extent = {"first": first, "last": last}
    found = [
        Miscount(
            study, partition, uid, None, _study_counts(*values[:4]), _study_counts(*values[4:])
        )
        for study, partition, uid, *values in await _MISCOUNTED_STUDIES.fetch(connection, **extent)
    ]
    return found + [
        Miscount(study, partition, uid, series_uid, Counts(said), Counts(counted))
        for study, partition, uid, series_uid, said, counted in await _MISCOUNTED_SERIES.fetch(
            connection, **extent
        )
    ]


def _study_counts(
    instances: int, series: int, modalities: list[str], sop_classes: list[str]
) -> Counts:
    return Counts(instances, series, tuple(modalities), tuple(sop_classes))


_INSTANCES_OF_SERIES = (
    select(func.count())
    .where(_INSTANCE.series_id == _SERIES.id, _INSTANCE.removed_at.is_(None))
    .correlate(table(Series))
    .scalar_subquery()
)
_LOCK = prepare(
    select(_STUDY.id).where(_STUDY.id == bindparam("study_id")).with_for_update(key_share=True)
)
_MEND_SERIES = prepare(
    update(table(Series))
    .where(
        _SERIES.study_id == bindparam("study_id"),
        _SERIES.number_of_instances != _INSTANCES_OF_SERIES,
    )
    .values({_SERIES.number_of_instances: _INSTANCES_OF_SERIES, **changed(_SERIES)})
)
_MEND_STUDY = prepare(
    update(table(Study))
    .where(_STUDY.id == bindparam("study_id"), _OF_STUDY.id == _STUDY.id)
    .values({**dict(zip(_SAID, _COUNTED, strict=True)), **changed(_STUDY)})
)


async def recount(connection: Connection, study_id: int) -> None:
    """Set right what a study and its series say of their instances; in a transaction.

    Who adds instances changes counts while holding the study, and by differences: what is not
    committed yet is neither counted here nor lost.
    """
    extent = {"first": study_id, "last": study_id}
    await _LOCK.fetchval(connection, study_id=study_id)
    await _MEND_SERIES.execute(connection, study_id=study_id)
    await _MEND_STUDY.execute(connection, study_id=study_id, **extent)
