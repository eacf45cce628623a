"""The metadata of series, kept ready to be sent: found with their series, and put there.

Rules:
- What is kept carries the revision of its series, which grows with every change in it. A reader
  takes it only if that is the revision that it sees, so it is right or not there, whoever changes
  the series and whoever keeps what at the same moment.
- It holds every instance of its series: who may see a part of the series only is never given it,
  and whoever does not see the whole partition never makes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    LargeBinary,
    Select,
    Text,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import insert

from app.index.statements import Connection, any_of, prepare, table
from app.index.tables import Instance, Series, SeriesMetadata, Study
from app.index.visibility import Visibility, visible

AT_ONCE_BYTES = 16 * 1024 * 1024
"""What is kept is found together with its series up to so much, in their order."""


@dataclass(frozen=True, slots=True)
class Deflated:
    """JSON as whole blocks of DEFLATE (RFC 1951) that end at a byte and of which none is the last.

    Pieces can therefore be joined as they are.
    """

    blocks: bytes
    length: int
    """Of the JSON, in bytes."""
    crc32: int
    """Of the JSON."""


@dataclass(frozen=True, slots=True)
class StoredSeries:
    """A series in one of its states."""

    id: int
    series_instance_uid: str
    revision: int
    updated_at: datetime
    kept: Deflated | None
    """The objects of its instances with commas between, in the form that was asked for."""


@dataclass(frozen=True, slots=True)
class Member:
    """An instance of a series."""

    id: int
    sop_instance_uid: str


_STUDY, _SERIES, _INSTANCE, _KEPT = (
    table(model).c for model in (Study, Series, Instance, SeriesMetadata)
)
_IN_ORDER = (_SERIES.series_number, _SERIES.series_instance_uid)


def _located(*uids: Any) -> Select[Any]:
    so_far = func.sum(func.octet_length(_KEPT.deflated)).over(order_by=_IN_ORDER)
    return (
        select(
            _SERIES.id,
            _SERIES.series_instance_uid,
            _SERIES.revision,
            _SERIES.updated_at,
            case((so_far <= literal_column(str(AT_ONCE_BYTES)), _KEPT.deflated)).label("blocks"),
            _KEPT.length,
            _KEPT.crc32,
        )
        .select_from(table(Series))
        .join(table(Study), _STUDY.id == _SERIES.study_id)
        .outerjoin(
            table(SeriesMetadata),
            and_(
                _KEPT.series_id == _SERIES.id,
                _KEPT.revision == _SERIES.revision,
                _KEPT.form == bindparam("form", type_=Text()),
            ),
        )
        .where(
            visible(Study), visible(Series), *(column == bindparam(column.name) for column in uids)
        )
        .order_by(*_IN_ORDER)
    )


_OF_STUDY = prepare(_located(_STUDY.study_instance_uid), joined=True)
_OF_SERIES = prepare(_located(_STUDY.study_instance_uid, _SERIES.series_instance_uid), joined=True)


async def locate_series(
    connection: Connection,
    visibility: Visibility,
    form: str,
    study_instance_uid: str,
    series_instance_uid: str | None = None,
) -> list[StoredSeries]:
    """The series of a study, or one of them, ordered as by `locate`; [] if none is visible.

    With what is kept of them in this form.
    """
    uids = {"study_instance_uid": study_instance_uid}
    if series_instance_uid is None:
        rows = await _OF_STUDY.fetch(connection, form=form, **visibility.parameters, **uids)
    else:
        uids["series_instance_uid"] = series_instance_uid
        rows = await _OF_SERIES.fetch(connection, form=form, **visibility.parameters, **uids)
    return [
        StoredSeries(
            row["id"],
            row["series_instance_uid"],
            row["revision"],
            row["updated_at"],
            None if row["blocks"] is None else Deflated(*row[4:]),
        )
        for row in rows
    ]


_MEMBERS = prepare(
    select(_INSTANCE.series_id, _INSTANCE.id, _INSTANCE.sop_instance_uid)
    .where(visible(Instance), _INSTANCE.series_id == any_of("series_ids", BigInteger()))
    .order_by(_INSTANCE.series_id, _INSTANCE.instance_number, _INSTANCE.sop_instance_uid)
)


async def members_of(
    connection: Connection, visibility: Visibility, series_ids: Sequence[int]
) -> dict[int, list[Member]]:
    """The instances of each series, ordered as by `locate`."""
    members: dict[int, list[Member]] = {series_id: [] for series_id in series_ids}
    rows = await _MEMBERS.fetch(connection, **visibility.parameters, series_ids=list(series_ids))
    for series_id, instance_id, sop_instance_uid in rows:
        members[series_id].append(Member(instance_id, sop_instance_uid))
    return members


_COLUMNS = [column.name for column in _KEPT]
_NEW = insert(table(SeriesMetadata)).from_select(
    _COLUMNS,
    select(
        _SERIES.id,
        _SERIES.partition_id,
        _SERIES.revision,
        bindparam("form", type_=Text()),
        bindparam("deflated", type_=LargeBinary()),
        bindparam("length", type_=BigInteger()),
        bindparam("crc32", type_=BigInteger()),
    )
    .where(
        visible(Series),
        _SERIES.id == bindparam("series_id"),
        _SERIES.revision == bindparam("revision"),
    )
    # A series that is being deleted is waited for, and then there is none.
    .with_for_update(read=True, key_share=True),
)
_KEEP = prepare(
    _NEW.on_conflict_do_update(
        index_elements=["series_id"],
        set_={name: _NEW.excluded[name] for name in _COLUMNS if name != "series_id"},
        where=or_(
            _KEPT.revision < _NEW.excluded.revision,
            and_(_KEPT.revision == _NEW.excluded.revision, _KEPT.form != _NEW.excluded.form),
        ),
    )
)


async def keep(
    connection: Connection, visibility: Visibility, series: StoredSeries, form: str, made: Deflated
) -> None:
    """Keep the metadata of the series in this form, unless the series has changed since.

    It takes the place of what was kept of the series before, in whatever form.
    """
    if visibility.restriction is not None:
        return
    await _KEEP.execute(
        connection,
        **visibility.parameters,
        series_id=series.id,
        revision=series.revision,
        form=form,
        deflated=made.blocks,
        length=made.length,
        crc32=made.crc32,
    )
