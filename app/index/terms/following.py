"""Following the log of changes: what has been stored gets its terms.

Rules:
- One at a time in a partition, whoever comes first; the others have nothing to do meanwhile.
- What is written and how far the log has been followed are one transaction: after a crash it is
  done again from there, and to do it twice changes nothing.
- Of an instance with very long JSON nothing is known but that it is there.
- Of studies and series the terms are those of what is kept of them now. To those of instances new
  ones are only added: what was true of a version that is replaced is a candidate too many.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import BigInteger, Integer, bindparam, case, func, literal_column, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.types import Text
from sqlmodel import SQLModel

from app.dicom.attributes import Level, level_of
from app.dicom.jsonmodel import unpack_short
from app.dicom.terms import EVERYTHING, Json, terms
from app.index import changes
from app.index.changes import Place, StoredChange
from app.index.statements import Connection, Prepared, any_of, prepare, table
from app.index.tables import Instance, Partition, Series, Study
from app.index.term_tables import Indexed, InstanceTerms, SeriesTerms, StudyTerms
from app.index.visibility import Visibility

MOST_CHANGES = 1000
"""That are followed in one transaction."""
AT_ONCE = 50
"""Instances whose JSON is in memory."""
LONGEST_JSON = 2 * 1024 * 1024
"""Bytes: as objects it takes ten times as much memory."""

_LOCK_OF_TERMS = 0x7465726D
_STUDY, _SERIES, _INSTANCE = table(Study).c, table(Series).c, table(Instance).c
_INDEXED = table(Indexed).c

_PARTITIONS = prepare(select(table(Partition).c.id).order_by(table(Partition).c.id))
_LOCK = prepare(
    select(
        func.pg_try_advisory_xact_lock(
            bindparam("lock", _LOCK_OF_TERMS, type_=Integer()),
            bindparam("partition_id", type_=Integer()),
        )
    )
)
_REACHED = prepare(
    select(_INDEXED.transaction_id, _INDEXED.sequence).where(
        _INDEXED.partition_id == bindparam("partition_id")
    )
)


def _put(model: type[SQLModel], key: str) -> Prepared:
    """What writes a whole row, whether or not there is one."""
    into = table(model)
    given = {column.name: bindparam(column.name, type_=column.type) for column in into.c}
    statement = insert(into).values(given)
    others = {name: statement.excluded[name] for name in given if name != key}
    return prepare(statement.on_conflict_do_update(index_elements=[key], set_=others))


_REACH = _put(Indexed, "partition_id")
_PUT_STUDY, _PUT_SERIES, _PUT_INSTANCES = (
    _put(model, "id") for model in (StudyTerms, SeriesTerms, InstanceTerms)
)
_FIND = prepare(
    select(
        _STUDY.id,
        _SERIES.id.label("series_id"),
        _STUDY.attributes,
        _SERIES.attributes.label("series_attributes"),
    )
    .join(table(Series), _SERIES.study_id == _STUDY.id)
    .where(
        _STUDY.partition_id == bindparam("partition_id"),
        _STUDY.study_instance_uid == any_of("studies", Text()),
        _SERIES.series_instance_uid == any_of("series", Text()),
    )
)
_INSTANCES = prepare(
    select(
        _INSTANCE.series_id,
        case(
            (
                func.octet_length(_INSTANCE.metadata_json) <= literal_column("262144"),
                _INSTANCE.metadata_json,
            )
        ),
    ).where(
        _INSTANCE.partition_id == bindparam("partition_id"),
        _INSTANCE.sop_instance_uid == any_of("uids", Text()),
        _INSTANCE.removed_at.is_(None),
    )
)
_KNOWN = prepare(
    select(table(InstanceTerms).c.id, table(InstanceTerms).c.terms).where(
        table(InstanceTerms).c.id == any_of("ids", BigInteger())
    )
)


async def partitions(connection: Connection) -> list[int]:
    """The partitions whose logs can be followed."""
    return [row[0] for row in await _PARTITIONS.fetch(connection)]


async def follow(connection: Connection, partition_id: int) -> int:
    """Follow the log of a partition a little further; how many changes that were.

    The connection is in a transaction. 0 also if somebody else is at it.
    """
    if not await _LOCK.fetchval(connection, partition_id=partition_id):
        return 0
    reached = await _REACHED.fetchrow(connection, partition_id=partition_id)
    found = await changes.read(
        connection,
        Visibility(partition_id),
        after=Place(*reached) if reached else changes.BEGINNING,
        limit=MOST_CHANGES,
    )
    if not found:
        return 0
    await _index(connection, partition_id, found)
    last = found[-1].place
    await _REACH.execute(
        connection,
        partition_id=partition_id,
        transaction_id=last.transaction_id,
        sequence=last.sequence,
    )
    return len(found)


async def _index(connection: Connection, partition_id: int, found: Sequence[StoredChange]) -> None:
    rows = await _FIND.fetch(
        connection,
        partition_id=partition_id,
        studies=list({change.study_instance_uid for change in found}),
        series=list({change.series_instance_uid for change in found}),
    )
    studies = {row["id"]: [row["attributes"]] for row in rows}
    series = {row["series_id"]: [row["series_attributes"]] for row in rows}
    await _write(connection, partition_id, _PUT_STUDY, studies)
    await _write(connection, partition_id, _PUT_SERIES, series)
    uids = sorted({change.sop_instance_uid for change in found})
    for first in range(0, len(uids), AT_ONCE):
        await _index_instances(connection, partition_id, uids[first : first + AT_ONCE])


async def _write(
    connection: Connection, partition_id: int, put: Prepared, jsons: Mapping[int, Sequence[bytes]]
) -> None:
    made = await asyncio.to_thread(
        lambda: {id_: _terms_of(map(orjson.loads, some)) for id_, some in jsons.items()}
    )
    await _put_each(connection, partition_id, put, made)


async def _index_instances(
    connection: Connection, partition_id: int, uids: Collection[str]
) -> None:
    packed: defaultdict[int, list[bytes | None]] = defaultdict(list)
    for id_, json in await _INSTANCES.fetch(connection, partition_id=partition_id, uids=uids):
        packed[id_].append(json)
    known = dict(await _KNOWN.fetch(connection, ids=list(packed)))
    made = await asyncio.to_thread(
        lambda: {
            id_: _terms_of_instances(some, frozenset(known.get(id_, ())))
            for id_, some in packed.items()
        }
    )
    changed = {id_: some for id_, some in made.items() if some != known.get(id_)}
    await _put_each(connection, partition_id, _PUT_INSTANCES, changed)


async def _put_each(
    connection: Connection, partition_id: int, put: Prepared, made: Mapping[int, Sequence[int]]
) -> None:
    rows = [
        {"id": id_, "partition_id": partition_id, "terms": some}
        for id_, some in sorted(made.items())
    ]
    await put.execute_each(connection, rows)


def _terms_of(data_sets: Iterable[Json], known: Collection[int] = frozenset()) -> list[int]:
    return sorted(terms(data_sets, known))


def _terms_of_instances(packed: Iterable[bytes | None], known: Collection[int]) -> list[int]:
    jsons = [unpack_short(some, LONGEST_JSON) if some else None for some in packed]
    if None in jsons:
        return [EVERYTHING]
    return _terms_of((_own_of_instance(json) for json in jsons if json is not None), known)


def _own_of_instance(json: bytes) -> dict[str, Any]:
    attributes = orjson.loads(json)
    return {tag: each for tag, each in attributes.items() if level_of(tag) is Level.INSTANCE}
