"""The rendered resources over HTTP (PS3.18 10.4.1.1.3): images to look at.

/studies/{study}/series/{series}/instances/{instance}/rendered
/studies/{study}/series/{series}/instances/{instance}/frames/{frame}/rendered
"""

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from app.dicom.mediatypes import JPEG, PNG, RENDERED_OFFERS, choose
from app.errors import NotAcceptable
from app.retrieve.asking import Ask, Asked, answers, frame_numbers, target_of
from app.retrieve.rendered import Rendering, locate_frame, render_frame
from app.retrieve.service import Target
from app.web.responses import REVALIDATE, VARY, not_modified, strong_etag, warning

router = APIRouter(tags=["Retrieve"])

_RENDERED: dict[str, Any] = {
    "responses": answers("The image", JPEG, PNG)
    | {
        413: {"description": "The frame has more pixels, or takes more memory, than allowed"},
        422: {"description": "The frame cannot be decoded, or not in time"},
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


@router.get("/studies/{study}/series/{series}/instances/{instance}/rendered", **_RENDERED)
async def retrieve_rendered_instance(
    ask: Asked, study: str, series: str, instance: str
) -> Response:
    """An instance as an image to look at; of several frames, the first."""
    return await _rendered(ask, target_of(study, series, instance), 1)


@router.get(
    "/studies/{study}/series/{series}/instances/{instance}/frames/{frame}/rendered", **_RENDERED
)
async def retrieve_rendered_frame(
    ask: Asked, study: str, series: str, instance: str, frame: str
) -> Response:
    """One frame as an image to look at."""
    (number,) = frame_numbers(frame, 1)
    return await _rendered(ask, target_of(study, series, instance), number)


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
    image = await render_frame(ask.archive, ask.visibility, frame, rendering)
    headers = {"ETag": etag, "Cache-Control": REVALIDATE, "Vary": VARY}
    response = Response(image, 200, headers, offer.media_type)
    for text in rendering.warnings:
        response.headers.append("Warning", warning(ask.base, text))
    return response
