"""Finding where the frames of an instance lie, through the predicate of `app.index.visibility`.

Of the frame table, which has an entry for each of perhaps millions of frames, only that part is
read in which the frames are that somebody asks for.
"""

from collections.abc import Iterator, Sequence

from sqlalchemy import (
    BigInteger,
    Integer,
    any_,
    bindparam,
    column,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY

from app.errors import NotFound
from app.index.instances.locating import columns_of, located
from app.index.instances.values import ENTRY, FrameTable, StoredInstance
from app.index.statements import Connection, prepare, table
from app.index.tables import Instance
from app.index.visibility import Visibility, visible
from app.span import Span

_NEAR = 2000
"""Bytes between two entries that are read along: PostgreSQL fetches so many at a time anyway."""

_MOST_FRAMES = 2**26
"""No frame table has more entries, since a value of PostgreSQL has 1 GiB at most."""

_INSTANCE = table(Instance).c
_RUN = (
    func.unnest(
        bindparam("offsets", type_=ARRAY(Integer())), bindparam("lengths", type_=ARRAY(Integer()))
    )
    .table_valued(column("offset", Integer()), column("length", Integer()), name="run")
    .render_derived()
)
_PARTS_OF_TABLE = func.array(
    select(
        func.substring(_INSTANCE.frame_table, _RUN.c.offset + literal_column("1"), _RUN.c.length)
    )
    .select_from(_RUN)
    .order_by(_RUN.c.offset)
    .correlate(table(Instance))
    .scalar_subquery()
)
_OF_INSTANCE = visible(Instance), _INSTANCE.id == bindparam("instance_id")

_LOCATE = prepare(located([*columns_of(StoredInstance), _PARTS_OF_TABLE], 3), joined=True)


async def locate_frames(
    connection: Connection,
    visibility: Visibility,
    numbers: Sequence[int],
    study_instance_uid: str,
    series_instance_uid: str,
    sop_instance_uid: str,
) -> tuple[StoredInstance, dict[int, Span]] | None:
    """An instance and, if it is `encapsulated`, where the items of some of its frames lie.

    `numbers`: of these frames, from 1. The spans are by them, and count from the first byte of the
    instance; frames that it does not have are left out. None if the instance is not visible.
    """
    runs = list(_runs(numbers))
    row = await _LOCATE.fetchrow(
        connection,
        **visibility.parameters,
        study_instance_uid=study_instance_uid,
        series_instance_uid=series_instance_uid,
        sop_instance_uid=sop_instance_uid,
        offsets=[run.offset for run in runs],
        lengths=[run.length for run in runs],
    )
    if row is None:
        return None
    *columns, parts = row
    return StoredInstance(*columns), _entries(runs, parts)


_ENTRIES = prepare(select(_PARTS_OF_TABLE).select_from(table(Instance)).where(*_OF_INSTANCE))


async def frame_entries(
    connection: Connection, visibility: Visibility, instance_id: int, numbers: Sequence[int]
) -> list[Span]:
    """Where the items of frames lie, counted from the first byte of the instance.

    `instance_id`: of a `StoredInstance` that is `encapsulated`. Raises `NotFound` if one of the
    frames, or the instance, is not there.
    """
    runs = list(_runs(numbers))
    parts = await _ENTRIES.fetchval(
        connection,
        **visibility.parameters,
        instance_id=instance_id,
        offsets=[run.offset for run in runs],
        lengths=[run.length for run in runs],
    )
    entries = _entries(runs, parts or ())
    if missing := set(numbers) - entries.keys():
        raise NotFound(f"There is no frame {min(missing)}.")
    return [entries[number] for number in numbers]


_TABLE = prepare(select(_INSTANCE.frame_table).select_from(table(Instance)).where(*_OF_INSTANCE))


async def frame_table(
    connection: Connection, visibility: Visibility, instance_id: int
) -> FrameTable:
    """Where the items of every frame lie, of a `StoredInstance` that is `encapsulated`.

    Raises `NotFound` if it cannot be seen.
    """
    packed = await _TABLE.fetchval(connection, **visibility.parameters, instance_id=instance_id)
    if packed is None:
        raise NotFound("There are no compressed frames.")
    return FrameTable(packed)


_TABLES = prepare(
    select(_INSTANCE.id, _INSTANCE.frame_table)
    .select_from(table(Instance))
    .where(
        visible(Instance),
        _INSTANCE.id == any_(bindparam("instance_ids", type_=ARRAY(BigInteger()))),
        _INSTANCE.frame_table.is_not(None),
    )
)


async def frame_tables(
    connection: Connection, visibility: Visibility, instance_ids: Sequence[int]
) -> dict[int, FrameTable]:
    """As `frame_table` of several instances, by their ids; what is not visible is left out."""
    rows = await _TABLES.fetch(connection, **visibility.parameters, instance_ids=list(instance_ids))
    return {instance_id: FrameTable(packed) for instance_id, packed in rows}


def _runs(numbers: Sequence[int]) -> Iterator[Span]:
    """The parts of a frame table with the entries of these frames, near ones in one part."""
    run: Span | None = None
    for number in sorted({number for number in numbers if number <= _MOST_FRAMES}):
        entry = Span((number - 1) * ENTRY.size, ENTRY.size)
        if run is not None and entry.offset - run.end <= _NEAR:
            run = Span(run.offset, entry.end - run.offset)
            continue
        if run is not None:
            yield run
        run = entry
    if run is not None:
        yield run


def _entries(runs: Sequence[Span], parts: Sequence[bytes | None]) -> dict[int, Span]:
    """The entries in parts of a frame table, by the numbers of their frames."""
    return {
        (run.offset + at) // ENTRY.size + 1: Span(*ENTRY.unpack_from(part, at))
        for run, part in zip(runs, parts, strict=False)
        if part is not None
        for at in range(0, len(part), ENTRY.size)
    }
