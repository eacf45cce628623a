"""The Retrieve transaction over HTTP (PS3.18 10.4): what each path asks for, and in what form.

    /studies/{study}                                              DICOM objects
    /studies/{study}/series/{series}                              DICOM objects
    /studies/{study}/series/{series}/instances/{instance}         a DICOM object
        .../metadata              of each of the three: DICOM JSON
        .../frames/{frames}       of an instance: pixels as they are stored
        .../rendered              of an instance, or of one of its frames: an image to look at
        .../bulkdata/{path}       of an instance: one value

HEAD works as GET does. Query parameters that mean nothing here are ignored.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import format_datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from app.archive import Archive
from app.dicom.mediatypes import (
    DICOM,
    DICOM_JSON,
    JPEG,
    JSON,
    METADATA_OFFERS,
    MULTIPART,
    OCTET_STREAM,
    PNG,
    RENDERED_OFFERS,
    MediaRange,
    acceptable,
    choose,
)
from app.dicom.uids import valid_uid
from app.errors import InvalidParameter, NotAcceptable
from app.index.visibility import Visibility
from app.retrieve import service
from app.retrieve.metadata import metadata, metadata_validator
from app.retrieve.rendered import Rendering, locate_frame, render_frame
from app.retrieve.response import plan_response
from app.retrieve.service import Target
from app.retrieve.stream import ahead, resumed
from app.web.dependencies import Reader, base_url, get_archive
from app.web.limits import Gate
from app.web.responses import (
    REVALIDATE,
    VARY,
    dicom_json,
    dicom_json_stream,
    not_modified,
    strong_etag,
    warning,
)

router = APIRouter(tags=["Retrieve"])

_FILE = {"schema": {"type": "string", "format": "binary"}}
_REFUSALS: dict[int | str, dict[str, Any]] = {
    304: {"description": "The caller has this representation already"},
    400: {"description": "A UID or a list of frames is malformed"},
    404: {"description": "There is no such object"},
    406: {"description": "No representation that is accepted can be made"},
}
_RANGES: dict[int | str, dict[str, Any]] = {
    206: {"description": "The range of a single part that was asked for"},
    416: {"description": "The range lies outside of what there is"},
}


def _answers(description: str, *media_types: str) -> dict[int | str, dict[str, Any]]:
    content = dict.fromkeys(media_types, _FILE)
    return {200: {"description": description, "content": content}} | _REFUSALS


_MULTIPART_DICOM = f'{MULTIPART}; type="{DICOM}"'
_OBJECTS = _answers("A part for each instance", _MULTIPART_DICOM)
_OBJECT = _answers("The instance", _MULTIPART_DICOM, DICOM) | _RANGES
_METADATA = _answers("An array with an object for each instance", DICOM_JSON, JSON)
_FRAMES = _RANGES | _answers(
    "A part for each frame, or the only frame by itself",
    f'{MULTIPART}; type="{OCTET_STREAM}"',
    f'{MULTIPART}; type="image/jpeg"',
    OCTET_STREAM,
    "image/jpeg",
)
_VALUE = _RANGES | _answers(
    "The value, or a part for each frame", OCTET_STREAM, f'{MULTIPART}; type="{OCTET_STREAM}"'
)

_RENDERED: dict[str, Any] = {
    "responses": _answers("The image", JPEG, PNG)
    | {
        413: {"description": "The frame has more pixels than this archive renders"},
        422: {"description": "The frame cannot be decoded"},
        503: {"description": "Too many frames are being rendered at the moment"},
    },
    "openapi_extra": {
        "parameters": [
            {"name": name, "in": "query", "description": what, "schema": {"type": kind}}
            for name, what, kind in (
                ("window", "center,width,function of linear, linear-exact or sigmoid", "string"),
                ("viewport", "width,height or width,height,left,top,width,height", "string"),
                ("quality", "1 to 100, of a JPEG", "integer"),
            )
        ]
    },
}

_NUMBERS = re.compile(r"[0-9]{1,10}(?:,[0-9]{1,10})*")


@dataclass(frozen=True, slots=True)
class Ask:
    """What every request here has in common."""

    request: Request
    archive: Archive
    visibility: Visibility
    base: str
    accepted: Sequence[MediaRange]


async def asked(request: Request, caller: Reader) -> Ask:
    """Who asks, of which archive, and what they accept."""
    accepted = acceptable(
        request.query_params.getlist("accept"), ",".join(request.headers.getlist("accept"))
    )
    archive, base = await get_archive(request), await base_url(request)
    return Ask(request, archive, caller.visibility, base, accepted)


Asked = Annotated[Ask, Depends(asked)]


@router.get("/studies/{study}", responses=_OBJECTS)
async def retrieve_study(ask: Asked, study: str) -> Response:
    """Every instance of a study."""
    return await _instances(ask, _target(study))


@router.get("/studies/{study}/series/{series}", responses=_OBJECTS)
async def retrieve_series(ask: Asked, study: str, series: str) -> Response:
    """Every instance of a series."""
    return await _instances(ask, _target(study, series))


@router.get("/studies/{study}/series/{series}/instances/{instance}", responses=_OBJECT)
async def retrieve_instance(ask: Asked, study: str, series: str, instance: str) -> Response:
    """One instance, as a part or by itself."""
    return await _instances(ask, _target(study, series, instance))


@router.get("/studies/{study}/metadata", responses=_METADATA)
async def retrieve_study_metadata(ask: Asked, study: str) -> Response:
    """The metadata of every instance of a study."""
    return await _metadata(ask, _target(study))


@router.get("/studies/{study}/series/{series}/metadata", responses=_METADATA)
async def retrieve_series_metadata(ask: Asked, study: str, series: str) -> Response:
    """The metadata of every instance of a series."""
    return await _metadata(ask, _target(study, series))


@router.get("/studies/{study}/series/{series}/instances/{instance}/metadata", responses=_METADATA)
async def retrieve_instance_metadata(
    ask: Asked, study: str, series: str, instance: str
) -> Response:
    """The metadata of one instance, in an array of its own."""
    return await _metadata(ask, _target(study, series, instance))


@router.get(
    "/studies/{study}/series/{series}/instances/{instance}/frames/{frames}", responses=_FRAMES
)
async def retrieve_frames(
    ask: Asked, study: str, series: str, instance: str, frames: str
) -> Response:
    """Frames of an instance, by their numbers from 1, in the order asked: `1,5,3`."""
    target = _target(study, series, instance)
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
    target = _target(study, series, instance)
    plan = await service.retrieve_bulk_value(
        ask.archive, ask.visibility, target, path, ask.accepted
    )
    return await plan_response(ask.request, ask.archive, plan, ask.base)


@router.get("/studies/{study}/series/{series}/instances/{instance}/rendered", **_RENDERED)
async def retrieve_rendered_instance(
    ask: Asked, study: str, series: str, instance: str
) -> Response:
    """An instance as an image to look at; of several frames, the first."""
    return await _rendered(ask, _target(study, series, instance), 1)


@router.get(
    "/studies/{study}/series/{series}/instances/{instance}/frames/{frame}/rendered", **_RENDERED
)
async def retrieve_rendered_frame(
    ask: Asked, study: str, series: str, instance: str, frame: str
) -> Response:
    """One frame as an image to look at."""
    (number,) = frame_numbers(frame, 1)
    return await _rendered(ask, _target(study, series, instance), number)


def frame_numbers(text: str, most: int) -> list[int]:
    """The numbers of a frame list, each once, in the order in which they come first.

    Raises `InvalidParameter` if it is no list of at most `most` numbers from 1.
    """
    if not _NUMBERS.fullmatch(text):
        raise InvalidParameter("frames", text, "is no list of frame numbers such as 1,2,3")
    numbers = [int(number) for number in text.split(",")]
    if 0 in numbers:
        raise InvalidParameter("frames", text, "frames are numbered from 1")
    if len(numbers) > most:
        raise InvalidParameter("frames", text, f"at most {most} frames can be asked for at once")
    return list(dict.fromkeys(numbers))


def _target(study: str, series: str | None = None, instance: str | None = None) -> Target:
    """What the path names. Raises `InvalidParameter` if one of the UIDs is none."""
    uids = {"study": study, "series": series, "instance": instance}
    for name, uid in uids.items():
        if uid is not None and not valid_uid(uid):
            raise InvalidParameter(name, uid, "is no UID")
    return Target(study, series, instance)


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


async def _rendered(ask: Ask, target: Target, number: int) -> Response:
    offer = choose(ask.accepted, RENDERED_OFFERS)
    if offer is None:
        raise NotAcceptable("Frames are rendered as image/jpeg and image/png.")
    limits = ask.archive.settings.limits
    parameters = ask.request.query_params
    rendering = Rendering.parse(offer.media_type, parameters, limits.rendered_pixels)
    frame = await locate_frame(ask.archive, ask.visibility, target, number)
    etag = strong_etag(frame.validator(rendering))
    unchanged = not_modified(ask.request, etag)
    if unchanged is not None:
        return unchanged
    gate: Gate = ask.request.app.state.gates.renders
    async with gate.turn():
        image = await render_frame(ask.archive, ask.visibility, frame, rendering)
    headers = {"ETag": etag, "Cache-Control": REVALIDATE, "Vary": VARY}
    response = Response(image, 200, headers, offer.media_type)
    for text in rendering.warnings:
        response.headers.append("Warning", warning(ask.base, text))
    return response
