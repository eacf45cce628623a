"""The rendered resources and thumbnails over HTTP (PS3.18 10.4.1.1.3, 10.4.1.1.4).

/studies/{study}
/studies/{study}/series/{series}
/studies/{study}/series/{series}/instances/{instance}
/studies/{study}/series/{series}/instances/{instance}/frames/{frame}
    .../rendered      an image; of a study and a series one for each instance, or one for all;
                      an instance that is no image as a page, a document or a video
    .../thumbnail     a small image
"""

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from app.dicom.mediatypes import GIF, JPEG, MULTIPART, PDF, PNG, choose
from app.dicom.report import HTML, TEXT, XML
from app.errors import NotAcceptable
from app.retrieve.asking import (
    RANGES,
    Ask,
    Asked,
    answers,
    frame_numbers,
    given_once,
    target_of,
)
from app.retrieve.kinds import Kind, kind_of, rendered_offers
from app.retrieve.rendered import Frame, locate_frame
from app.retrieve.rendered_animation import animation_response
from app.retrieve.rendered_objects import object_response
from app.retrieve.rendered_parts import album_message, locate_album
from app.retrieve.rendered_response import headers_of, image_response, with_warnings
from app.retrieve.rendering import FRAME_OFFERS, PARAMETERS, SET_OFFERS, Rendering
from app.retrieve.representative import representative_frame
from app.retrieve.service import Target, locate_target, require_frames
from app.retrieve.states import check_of_state, first_image
from app.retrieve.stream import ahead
from app.web.dependencies import DICOMWEB
from app.web.multipart import Writer
from app.web.plain_route import PlainRoute
from app.web.responses import StreamingResponse, not_modified, strong_etag

router = APIRouter(prefix=DICOMWEB, tags=["Retrieve"], route_class=PlainRoute)

_SERIES = "/studies/{study}/series/{series}"
_INSTANCE = _SERIES + "/instances/{instance}"
_FRAME = _INSTANCE + "/frames/{frame}"

_PARAMETERS = (
    ("window", "center,width,function of linear, linear-exact or sigmoid", "string"),
    ("viewport", "width,height or width,height,left,top,width,height", "string"),
    ("quality", "1 to 100, of a JPEG", "integer"),
    ("annotation", "patient, technique or both: what is written into the image", "string"),
    ("iccprofile", "no, yes, srgb, adobergb or rommrgb", "string"),
)


def _described(*media_types: str) -> dict[str, Any]:
    """What OpenAPI says of a resource with these representations."""
    return {
        "responses": answers("The image", *media_types)
        | {
            413: {"description": "There are more pixels, or they take more memory, than allowed"},
            422: {"description": "The frame cannot be decoded, or not in time"},
            503: {"description": "Too many frames are being rendered at the moment"},
        },
        "openapi_extra": {
            "parameters": [
                {"name": name, "in": "query", "description": what, "schema": {"type": kind}}
                for name, what, kind in _PARAMETERS
            ]
        },
    }


_IMAGE = _described(JPEG, PNG, GIF)
_OBJECT = _described(JPEG, PNG, GIF, HTML, TEXT, XML, PDF, "video/mp4", "video/mpeg")
_OBJECT["responses"] |= RANGES
_IMAGES = _described(f'{MULTIPART}; type="{JPEG}"', f'{MULTIPART}; type="{PNG}"', JPEG, PNG)


@router.get("/studies/{study}/rendered", **_IMAGES)
async def retrieve_rendered_study(ask: Asked, study: str) -> Response:
    """An image of each instance of a study, or the one that represents it."""
    return await _rendered_set(ask, target_of(study))


@router.get(_SERIES + "/rendered", **_IMAGES)
async def retrieve_rendered_series(ask: Asked, study: str, series: str) -> Response:
    """An image of each instance of a series, or the one that represents it."""
    return await _rendered_set(ask, target_of(study, series))


@router.get(_INSTANCE + "/rendered", **_OBJECT)
async def retrieve_rendered_instance(
    ask: Asked, study: str, series: str, instance: str
) -> Response:
    """An instance as what it is to look at: an image, a report, a document or a video."""
    target = target_of(study, series, instance)
    (found,) = await locate_target(ask.archive, ask.visibility, target)
    offers = rendered_offers(found)
    offer = choose(ask.accepted, offers)
    if offer is None:
        raise NotAcceptable(
            "The instance can be rendered as: " + ", ".join(one.media_type for one in offers)
            if offers
            else "The instance has nothing that could be rendered."
        )
    kind = kind_of(found)
    if kind not in {Kind.IMAGE, Kind.STATE}:
        return await object_response(ask, found, offer.media_type)
    rendering = _parsed(ask, offer.media_type)
    if kind is Kind.STATE:
        check_of_state(rendering, ask.request.query_params.get("viewport", ""))
        image, number = await first_image(ask.archive, ask.visibility, found)
        require_frames(image, number)
        return await image_response(ask, Frame(image, number, found), rendering)
    if offer.media_type == GIF and (found.number_of_frames or 0) > 1:
        return await animation_response(ask, found, rendering)
    return await image_response(ask, Frame(found, 1), rendering)


@router.get(_FRAME + "/rendered", **_IMAGE)
async def retrieve_rendered_frame(
    ask: Asked, study: str, series: str, instance: str, frame: str
) -> Response:
    """One frame as an image to look at."""
    target, (number,) = target_of(study, series, instance), frame_numbers(frame, 1)
    rendering = _rendering(ask)
    return await image_response(
        ask, await locate_frame(ask.archive, ask.visibility, target, number), rendering
    )


@router.get("/studies/{study}/thumbnail", **_IMAGE)
async def retrieve_study_thumbnail(ask: Asked, study: str) -> Response:
    """A small image that represents a study."""
    return await _thumbnail(ask, target_of(study))


@router.get(_SERIES + "/thumbnail", **_IMAGE)
async def retrieve_series_thumbnail(ask: Asked, study: str, series: str) -> Response:
    """A small image that represents a series."""
    return await _thumbnail(ask, target_of(study, series))


@router.get(_INSTANCE + "/thumbnail", **_IMAGE)
async def retrieve_instance_thumbnail(
    ask: Asked, study: str, series: str, instance: str
) -> Response:
    """A small image of an instance; of several frames, the middle one."""
    return await _thumbnail(ask, target_of(study, series, instance))


@router.get(_FRAME + "/thumbnail", **_IMAGE)
async def retrieve_frame_thumbnail(
    ask: Asked, study: str, series: str, instance: str, frame: str
) -> Response:
    """A small image of one frame."""
    (number,) = frame_numbers(frame, 1)
    return await _thumbnail(ask, target_of(study, series, instance), number)


async def _rendered_set(ask: Ask, target: Target) -> Response:
    offer = choose(ask.accepted, SET_OFFERS)
    if offer is None or not offer.multipart:
        rendering = _rendering(ask)
        frame = await representative_frame(ask.archive, ask.visibility, target)
        return await image_response(ask, frame, rendering)
    rendering = _parsed(ask, offer.media_type)
    album = await locate_album(ask.archive, ask.visibility, target)
    validator = album.validator(rendering, ask.base)
    etag = strong_etag(validator)
    unchanged = not_modified(ask.request, etag)
    if unchanged is not None:
        return unchanged
    writer = Writer(offer.media_type, validator)
    message = album_message(ask.archive, ask.visibility, album, rendering, writer, ask.base)
    response = StreamingResponse(
        ahead(message), media_type=writer.content_type, headers=headers_of(etag)
    )
    texts = list(rendering.warnings)
    if album.left_out:
        texts.append(f"{album.left_out} instances have no image to show and are left out.")
    return with_warnings(ask, response, texts)


async def _thumbnail(ask: Ask, target: Target, number: int | None = None) -> Response:
    media_type = _media_type(ask)
    parameters = given_once(ask.request, PARAMETERS)
    rendering = Rendering.parse_thumbnail(media_type, parameters, _largest(ask))
    if number is None:
        frame = await representative_frame(ask.archive, ask.visibility, target)
    else:
        frame = await locate_frame(ask.archive, ask.visibility, target, number)
    return await image_response(ask, frame, rendering)


def _rendering(ask: Ask) -> Rendering:
    return _parsed(ask, _media_type(ask))


def _parsed(ask: Ask, media_type: str) -> Rendering:
    return Rendering.parse(media_type, given_once(ask.request, PARAMETERS), _largest(ask))


def _largest(ask: Ask) -> int:
    return ask.archive.settings.limits.rendered_pixels


def _media_type(ask: Ask) -> str:
    offer = choose(ask.accepted, FRAME_OFFERS)
    if offer is None:
        raise NotAcceptable("Frames are rendered as image/jpeg, image/png and image/gif.")
    return offer.media_type
