"""`representative`: the one instance that is shown for a study or a series.

Rules:
- It is the middle one of the images of a series, since the first and the last slices of a stack
  show little; of a study, that of the series with the most frames.
- What was derived from images stands for a study only if there is nothing else.
- The levels of a slide are no stack: there, those of fewest frames come first.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, case, func, literal_column, or_, select
from sqlalchemy.types import Text

from app.index.statements import Connection, any_of, prepare, table
from app.index.tables import Instance, Series, Study
from app.index.visibility import Visibility, visible

DERIVED = ("SEG", "RTDOSE", "M3D")
"""Modalities whose pixels mean nothing without the images that they were made from."""

SLIDES = "SM"


@dataclass(frozen=True, slots=True)
class Representative:
    """Which instance it is."""

    series_instance_uid: str
    sop_instance_uid: str
    is_slide: bool
    """Whether it is the lowest level of a slide, or one of its label and overview images."""


_STUDY, _SERIES, _INSTANCE = table(Study).c, table(Series).c, table(Instance).c


def _statement(*uids: ColumnElement[bool]) -> Select[Any]:
    in_slides = case((_SERIES.modality == SLIDES, _INSTANCE.number_of_frames))
    series = _INSTANCE.series_id
    images = (
        select(
            _SERIES.series_instance_uid,
            _SERIES.series_number,
            _INSTANCE.sop_instance_uid,
            func.coalesce(_SERIES.modality == SLIDES, literal_column("false")).label("is_slide"),
            func.coalesce(
                _SERIES.modality == any_of("derived", Text()), literal_column("false")
            ).label("derived"),
            func.sum(_INSTANCE.number_of_frames).over(partition_by=series).label("frames"),
            func.count().over(partition_by=series).label("images"),
            func.row_number()
            .over(
                partition_by=series,
                order_by=(in_slides, _INSTANCE.instance_number, _INSTANCE.sop_instance_uid),
            )
            .label("place"),
        )
        .select_from(table(Instance))
        .join(table(Series), _SERIES.id == _INSTANCE.series_id)
        .join(table(Study), _STUDY.id == _INSTANCE.study_id)
        .where(
            *(visible(model) for model in (Study, Series, Instance)),
            *uids,
            _INSTANCE.number_of_frames > literal_column("0"),
            _INSTANCE.transfer_syntax_uid == any_of("transfer_syntax_uids", Text()),
        )
        .subquery("image")
    )
    middle = images.c.images // literal_column("2") + literal_column("1")
    first = images.c.is_slide & (images.c.place == literal_column("1"))
    return (
        select(images.c.series_instance_uid, images.c.sop_instance_uid, images.c.is_slide)
        .where(or_(first, ~images.c.is_slide & (images.c.place == middle)))
        .order_by(
            images.c.derived,
            images.c.frames.desc(),
            images.c.series_number,
            images.c.series_instance_uid,
        )
        .limit(literal_column("1"))
    )


_OF_STUDY = _STUDY.study_instance_uid == bindparam("study_instance_uid")
_OF_SERIES = _SERIES.series_instance_uid == bindparam("series_instance_uid")
_IN_STUDY = prepare(_statement(_OF_STUDY), joined=True)
_IN_SERIES = prepare(_statement(_OF_STUDY, _OF_SERIES), joined=True)


async def representative(
    connection: Connection,
    visibility: Visibility,
    transfer_syntax_uids: Collection[str],
    study_instance_uid: str,
    series_instance_uid: str | None = None,
) -> Representative | None:
    """The instance that stands for a study or a series; None if it has no image.

    Only images in one of the transfer syntaxes are considered.
    """
    values = {
        **visibility.parameters,
        "derived": DERIVED,
        "transfer_syntax_uids": list(transfer_syntax_uids),
        "study_instance_uid": study_instance_uid,
    }
    if series_instance_uid is None:
        row = await _IN_STUDY.fetchrow(connection, **values)
    else:
        row = await _IN_SERIES.fetchrow(
            connection, **values, series_instance_uid=series_instance_uid
        )
    return None if row is None else Representative(*row)
