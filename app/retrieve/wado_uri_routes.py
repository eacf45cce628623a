"""The URI Service over HTTP (PS3.18 9): one instance, asked for by the parameters of one address.

/wado?requestType=WADO&studyUID=…&seriesUID=…&objectUID=…
"""

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from app.audit.event import Action, EventId, Note
from app.dicom.mediatypes import DICOM, GIF, JPEG, PDF, PNG, MediaRange
from app.dicom.report import HTML
from app.errors import InvalidParameter
from app.index.instances import StoredInstance
from app.retrieve.asking import RANGES, Ask, Asked, answers, given_once
from app.retrieve.kinds import Kind, kind_of
from app.retrieve.rendered import Frame
from app.retrieve.rendered_animation import animation_response
from app.retrieve.rendered_objects import object_response
from app.retrieve.rendered_response import image_response
from app.retrieve.response import plan_response
from app.retrieve.service import locate_target, planned, require_frames
from app.retrieve.wado_uri import UriRequest

router = APIRouter(tags=["Retrieve"])

_REQUIRED = (
    ("requestType", "WADO"),
    ("studyUID", "Study Instance UID"),
    ("seriesUID", "Series Instance UID"),
    ("objectUID", "SOP Instance UID"),
)
_OPTIONAL = (
    ("contentType", "application/dicom, or a media type that the instance can be shown as"),
    ("transferSyntax", "of application/dicom: a UID, or * for the stored one"),
    ("frameNumber", "of an image of several frames; 1 is the first"),
    ("rows", "most rows of the image"),
    ("columns", "most columns of the image"),
    ("region", "left,top,right,bottom, from 0 to 1"),
    ("windowCenter", "together with windowWidth"),
    ("windowWidth", "together with windowCenter"),
    ("imageQuality", "1 to 100, of a JPEG"),
    ("presentationUID", "of a presentation state, together with presentationSeriesUID"),
    ("presentationSeriesUID", "of the series of the presentation state"),
    ("annotation", "patient, technique or both: what is written into the image"),
    ("iccprofile", "no, yes, srgb, adobergb or rommrgb"),
)
_DESCRIBED: dict[str, Any] = {
    "responses": answers("The instance, or what it is to look at", JPEG, PNG, HTML, PDF, DICOM)
    | RANGES,
    "openapi_extra": {
        "parameters": [
            {
                "name": name,
                "in": "query",
                "description": what,
                "required": (name, what) in _REQUIRED,
                "schema": {"type": "string"},
            }
            for name, what in _REQUIRED + _OPTIONAL
        ]
    },
}


@router.get("/wado", **_DESCRIBED)
async def retrieve_by_uri(ask: Asked) -> Response:
    """One instance as a DICOM object, or one of its frames as an image."""
    parameters = given_once(ask.request)
    asked = UriRequest.parse(parameters)
    note: Note = ask.request.state.audit
    note.event, note.action = EventId.INSTANCES_TRANSFERRED, Action.READ
    note.study_instance_uid = asked.target.study_instance_uid
    note.series_instance_uid = asked.target.series_instance_uid
    note.sop_instance_uid = asked.target.sop_instance_uid
    (instance,) = await locate_target(ask.archive, ask.visibility, asked.target)
    offer = asked.offer(instance)
    if offer.media_type == DICOM:
        accepted = [MediaRange(DICOM, False, asked.transfer_syntax, 1000)]
        plan = await planned(ask.archive, ask.visibility, [instance], accepted, single=True)
        return await plan_response(ask.request, ask.archive, plan, ask.base)
    if kind_of(instance) is not Kind.IMAGE:
        return await object_response(ask, instance, offer.media_type)
    number = asked.frame_number or 1
    require_frames(instance, number)
    largest = ask.archive.settings.limits.rendered_pixels
    rendering = asked.rendering(offer.media_type, instance, largest)
    state = await _state(ask, asked)
    several = asked.frame_number is None and instance.number_of_frames != 1
    if offer.media_type == GIF and several and state is None:
        return await animation_response(ask, instance, rendering)
    return await image_response(ask, Frame(instance, number, state), rendering)


async def _state(ask: Ask, asked: UriRequest) -> StoredInstance | None:
    """The presentation state that was asked for. Raises `NotFound`, `InvalidParameter`."""
    if asked.state is None:
        return None
    (state,) = await locate_target(ask.archive, ask.visibility, asked.state)
    if kind_of(state) is not Kind.STATE:
        uid = state.sop_instance_uid
        raise InvalidParameter("presentationUID", uid, "is no softcopy presentation state")
    return state
