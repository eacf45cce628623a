"""Bulk data over HTTP (PS3.18 10.4.1.1.4, 10.4.1.1.5).

/studies/{study}/bulkdata                                     every value that is not in the
/studies/{study}/series/{series}/bulkdata                     metadata, as BulkDataURIs name them
/studies/{study}/series/{series}/instances/{instance}/bulkdata
    .../bulkdata/{path}                                       one of them
.../pixeldata of each of the three                            pixel data alone
"""

from fastapi import APIRouter
from starlette.responses import Response

from app.dicom.mediatypes import MULTIPART, OCTET_STREAM
from app.retrieve import service
from app.retrieve.asking import RANGES, Ask, Asked, answers, gate_of, target_of
from app.retrieve.response import plan_response
from app.retrieve.service import Target
from app.web.dependencies import DICOMWEB
from app.web.plain_route import PlainRoute

router = APIRouter(prefix=DICOMWEB, tags=["Retrieve"], route_class=PlainRoute)

_SERIES = "/studies/{study}/series/{series}"
_INSTANCE = _SERIES + "/instances/{instance}"
_OCTETS = f'{MULTIPART}; type="{OCTET_STREAM}"'
_VALUE = RANGES | answers("The value, or a part for each frame", OCTET_STREAM, _OCTETS)


_VALUES = RANGES | answers(
    "A part for each value, or the only one by itself", _OCTETS, OCTET_STREAM
)


@router.get("/studies/{study}/bulkdata", responses=_VALUES)
async def retrieve_study_bulkdata(ask: Asked, study: str) -> Response:
    """Every bulk value of a study."""
    return await _values(ask, target_of(study))


@router.get(_SERIES + "/bulkdata", responses=_VALUES)
async def retrieve_series_bulkdata(ask: Asked, study: str, series: str) -> Response:
    """Every bulk value of a series."""
    return await _values(ask, target_of(study, series))


@router.get(_INSTANCE + "/bulkdata", responses=_VALUES)
async def retrieve_instance_bulkdata(
    ask: Asked, study: str, series: str, instance: str
) -> Response:
    """Every bulk value of an instance."""
    return await _values(ask, target_of(study, series, instance))


@router.get("/studies/{study}/pixeldata", responses=_VALUES)
async def retrieve_study_pixeldata(ask: Asked, study: str) -> Response:
    """The pixel data of every instance of a study."""
    return await _values(ask, target_of(study), pixels_only=True)


@router.get(_SERIES + "/pixeldata", responses=_VALUES)
async def retrieve_series_pixeldata(ask: Asked, study: str, series: str) -> Response:
    """The pixel data of every instance of a series."""
    return await _values(ask, target_of(study, series), pixels_only=True)


@router.get(_INSTANCE + "/pixeldata", responses=_VALUES)
async def retrieve_instance_pixeldata(
    ask: Asked, study: str, series: str, instance: str
) -> Response:
    """The pixel data of an instance."""
    return await _values(ask, target_of(study, series, instance), pixels_only=True)


@router.get(
    "/studies/{study}/series/{series}/instances/{instance}/bulkdata/{path:path}", responses=_VALUE
)
async def retrieve_bulkdata(
    ask: Asked, study: str, series: str, instance: str, path: str
) -> Response:
    """The value that a BulkDataURI in the metadata names."""
    target = target_of(study, series, instance)
    plan = await service.retrieve_bulk_value(
        ask.archive, ask.visibility, target, path, ask.accepted
    )
    return await plan_response(ask.request, ask.archive, plan, ask.base, gate_of(ask, target))


async def _values(ask: Ask, target: Target, *, pixels_only: bool = False) -> Response:
    plan = await service.retrieve_bulk_data(
        ask.archive, ask.visibility, target, ask.accepted, pixels_only=pixels_only
    )
    return await plan_response(ask.request, ask.archive, plan, ask.base, gate_of(ask, target))
