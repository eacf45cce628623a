"""The Retrieve transaction over HTTP (PS3.18 10.4): what each path asks for, and in what form.

    /studies/{study}                                              DICOM objects
    /studies/{study}/series/{series}                              DICOM objects
    /studies/{study}/series/{series}/instances/{instance}         a DICOM object
        .../frames/{frames}       of an instance: pixels as they are stored

Values: see `app.retrieve.bulkdata_routes`.

HEAD works as GET does. Query parameters that mean nothing here are ignored.
"""

from fastapi import APIRouter
from starlette.responses import Response

from app.dicom.mediatypes import (
    DICOM,
    MULTIPART,
    OCTET_STREAM,
    ZIP,
)
from app.retrieve import service
from app.retrieve.asking import RANGES, Ask, Asked, answers, frame_numbers, gate_of, target_of
from app.retrieve.response import plan_response
from app.retrieve.service import Target
from app.web.dependencies import DICOMWEB
from app.web.plain_route import PlainRoute

router = APIRouter(prefix=DICOMWEB, tags=["Retrieve"], route_class=PlainRoute)

_DICOMDIR = {
    "parameters": [
        {
            "name": "dicomdir",
            "in": "query",
            "description": "of a ZIP archive: whether it is a file-set, with a DICOMDIR",
            "schema": {"type": "boolean"},
        }
    ]
}
_MULTIPART_DICOM = f'{MULTIPART}; type="{DICOM}"'
_OBJECTS = answers("A part for each instance, or a file", _MULTIPART_DICOM, ZIP) | {
    206: {"description": "The bytes of some instances are lost"},
    503: {"description": "Too many studies and series are being sent"},
}
_OBJECT = answers("The instance", _MULTIPART_DICOM, DICOM, ZIP) | RANGES
_FRAMES = RANGES | answers(
    "A part for each frame, or the only frame by itself",
    f'{MULTIPART}; type="{OCTET_STREAM}"',
    f'{MULTIPART}; type="image/jpeg"',
    OCTET_STREAM,
    "image/jpeg",
)


@router.get("/studies/{study}", responses=_OBJECTS, openapi_extra=_DICOMDIR)
async def retrieve_study(ask: Asked, study: str) -> Response:
    """Every instance of a study."""
    return await _instances(ask, target_of(study))


@router.get("/studies/{study}/series/{series}", responses=_OBJECTS, openapi_extra=_DICOMDIR)
async def retrieve_series(ask: Asked, study: str, series: str) -> Response:
    """Every instance of a series."""
    return await _instances(ask, target_of(study, series))


@router.get(
    "/studies/{study}/series/{series}/instances/{instance}",
    responses=_OBJECT,
    openapi_extra=_DICOMDIR,
)
async def retrieve_instance(ask: Asked, study: str, series: str, instance: str) -> Response:
    """One instance, as a part or by itself."""
    return await _instances(ask, target_of(study, series, instance))


@router.get(
    "/studies/{study}/series/{series}/instances/{instance}/frames/{frames}", responses=_FRAMES
)
async def retrieve_frames(
    ask: Asked, study: str, series: str, instance: str, frames: str
) -> Response:
    """Frames of an instance, by their numbers from 1, in the order asked: `1,5,3`."""
    target = target_of(study, series, instance)
    numbers = frame_numbers(frames, ask.archive.settings.limits.frames_per_request)
    plan = await service.retrieve_frames(ask.archive, ask.visibility, target, numbers, ask.accepted)
    return await plan_response(ask.request, ask.archive, plan, ask.base)


async def _instances(ask: Ask, target: Target) -> Response:
    plan = await service.retrieve_instances(ask.archive, ask.visibility, target, ask.accepted)
    return await plan_response(ask.request, ask.archive, plan, ask.base, gate_of(ask, target))
