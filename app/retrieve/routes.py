"""The Retrieve transaction over HTTP (PS3.18 10.4): what each path asks for, and in what form.

    /studies/{study}                                              DICOM objects
    /studies/{study}/series/{series}                              DICOM objects
    /studies/{study}/series/{series}/instances/{instance}         a DICOM object
        .../metadata              of each of the three: DICOM JSON
        .../frames/{frames}       of an instance: pixels as they are stored
        .../bulkdata/{path}       of an instance: one value

HEAD works as GET does. Query parameters that mean nothing here are ignored.
"""

from email.utils import format_datetime

from fastapi import APIRouter
from starlette.responses import Response

from app.dicom.mediatypes import (
    DICOM,
    DICOM_JSON,
    JSON,
    METADATA_OFFERS,
    MULTIPART,
    OCTET_STREAM,
    choose,
)
from app.errors import NotAcceptable
from app.retrieve import service
from app.retrieve.asking import RANGES, Ask, Asked, answers, frame_numbers, target_of
from app.retrieve.metadata import metadata, metadata_validator
from app.retrieve.response import plan_response
from app.retrieve.service import Target
from app.retrieve.stream import ahead, resumed
from app.web.responses import dicom_json, dicom_json_stream, not_modified, strong_etag

router = APIRouter(tags=["Retrieve"])

_MULTIPART_DICOM = f'{MULTIPART}; type="{DICOM}"'
_OBJECTS = answers("A part for each instance", _MULTIPART_DICOM)
_OBJECT = answers("The instance", _MULTIPART_DICOM, DICOM) | RANGES
_METADATA = answers("An array with an object for each instance", DICOM_JSON, JSON)
_FRAMES = RANGES | answers(
    "A part for each frame, or the only frame by itself",
    f'{MULTIPART}; type="{OCTET_STREAM}"',
    f'{MULTIPART}; type="image/jpeg"',
    OCTET_STREAM,
    "image/jpeg",
)
_VALUE = RANGES | answers(
    "The value, or a part for each frame", OCTET_STREAM, f'{MULTIPART}; type="{OCTET_STREAM}"'
)


@router.get("/studies/{study}", responses=_OBJECTS)
async def retrieve_study(ask: Asked, study: str) -> Response:
    """Every instance of a study."""
    return await _instances(ask, target_of(study))


@router.get("/studies/{study}/series/{series}", responses=_OBJECTS)
async def retrieve_series(ask: Asked, study: str, series: str) -> Response:
    """Every instance of a series."""
    return await _instances(ask, target_of(study, series))


@router.get("/studies/{study}/series/{series}/instances/{instance}", responses=_OBJECT)
async def retrieve_instance(ask: Asked, study: str, series: str, instance: str) -> Response:
    """One instance, as a part or by itself."""
    return await _instances(ask, target_of(study, series, instance))


@router.get("/studies/{study}/metadata", responses=_METADATA)
async def retrieve_study_metadata(ask: Asked, study: str) -> Response:
    """The metadata of every instance of a study."""
    return await _metadata(ask, target_of(study))


@router.get("/studies/{study}/series/{series}/metadata", responses=_METADATA)
async def retrieve_series_metadata(ask: Asked, study: str, series: str) -> Response:
    """The metadata of every instance of a series."""
    return await _metadata(ask, target_of(study, series))


@router.get("/studies/{study}/series/{series}/instances/{instance}/metadata", responses=_METADATA)
async def retrieve_instance_metadata(
    ask: Asked, study: str, series: str, instance: str
) -> Response:
    """The metadata of one instance, in an array of its own."""
    return await _metadata(ask, target_of(study, series, instance))


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
    return await plan_response(ask.request, ask.archive, plan, ask.base)


async def _instances(ask: Ask, target: Target) -> Response:
    plan = await service.retrieve_instances(ask.archive, ask.visibility, target, ask.accepted)
    return await plan_response(ask.request, ask.archive, plan, ask.base)


async def _metadata(ask: Ask, target: Target) -> Response:
    offer = choose(ask.accepted, METADATA_OFFERS)
    if offer is None:
        raise NotAcceptable("Metadata is sent as application/dicom+json.")
    instances = await service.locate_target(ask.archive, ask.visibility, target)
    etag = strong_etag(metadata_validator(instances, f"{ask.base} {offer.media_type}"))
    unchanged = not_modified(ask.request, etag)
    if unchanged is not None:
        return unchanged
    pieces = metadata(ask.archive, ask.visibility, instances, ask.base)
    first, second = await anext(pieces), await anext(pieces, None)
    newest = max(instance.created_at for instance in instances)
    headers = {"Last-Modified": format_datetime(newest, usegmt=True)}
    if second is None:
        return await dicom_json(
            ask.request, first, media_type=offer.media_type, etag=etag, headers=headers
        )
    return dicom_json_stream(
        ask.request,
        ahead(resumed((first, second), pieces)),
        media_type=offer.media_type,
        etag=etag,
        headers=headers,
    )
