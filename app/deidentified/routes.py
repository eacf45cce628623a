"""De-identified shares over DICOMweb, below a base of their own; other bases are closed to guests.

    /studies  /studies/{}/series  /studies/{}/series/{}/instances …     search
    /studies/{}[/series/{}[/instances/{}]]                               DICOM objects
        …/metadata      …/thumbnail
    …/instances/{}/rendered   …/instances/{}/frames/{}[/rendered|/thumbnail]

No answer has a validator, nor the moment at which something was stored. One that has begun breaks
off when the share ends, or what is left of it is deleted. What has no route here is not there: bulk
data but for frames, ZIP archives, XML, reports, documents, states.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import nullcontext
from dataclasses import replace

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from app.access.principal import Principal
from app.deidentified.finding import Shown, View
from app.deidentified.objects import file_pieces, syntax_of
from app.deidentified.search import search
from app.dicom.attributes import Level
from app.dicom.mediatypes import (
    ATTRIBUTES_OFFERS,
    DICOM,
    DICOM_XML,
    MediaRange,
    Offer,
    choose,
    dicom_offers,
)
from app.errors import InvalidParameter, NotAcceptable, NotFound, Unprocessable
from app.index.instances import StoredInstance
from app.index.restriction import Action
from app.retrieve import service
from app.retrieve.asking import frame_numbers, given_once
from app.retrieve.rendered import Frame, render_frame
from app.retrieve.rendering import FRAME_OFFERS, Rendering
from app.retrieve.response import plan_response
from app.retrieve.service import Target, require_frames
from app.retrieve.stream import ahead
from app.search.paging import AFTER, told_of
from app.search.params import read_query_string
from app.web.accepting import accepted_by
from app.web.dependencies import DEIDENTIFIED, DICOMWEB, get_archive, get_principal
from app.web.dependencies import base_url as dicomweb_base
from app.web.limits import Gates
from app.web.multipart import Writer
from app.web.responses import StreamingResponse, dicom_json, warning

router = APIRouter(prefix=DICOMWEB + DEIDENTIFIED, tags=["De-identified shares"])

_STUDY = "/studies/{study}"
_SERIES = _STUDY + "/series/{series}"
_INSTANCE = _SERIES + "/instances/{instance}"
_FRAME = _INSTANCE + "/frames/{frame}"
_LEVELS = {"studies": Level.STUDY, "series": Level.SERIES, "instances": Level.INSTANCE}
_PARAMETERS = ("window", "viewport", "quality")
_TELLING = ("etag", "last-modified")
_UNORDERED = "The orderby parameter is not supported for de-identified shares."
_NOT_KEPT = {"Cache-Control": "no-store"}


@router.get("/studies")
@router.get("/series")
@router.get("/instances")
@router.get(_STUDY + "/series")
@router.get(_STUDY + "/instances")
@router.get(_SERIES + "/instances")
async def search_shared(request: Request) -> Response:
    """Search what is shared, by what is left of it."""
    _demand_json(request)
    view, base = await _view(request, Action.SEARCH), await _base(request)
    level = _LEVELS[request.scope["path"].rstrip("/").rpartition("/")[2]]
    asked = read_query_string(
        request.scope["query_string"], level, limits=view.archive.settings.limits
    )
    if asked.query.after is not None:
        why = "is given for no search of de-identified shares"
        raise InvalidParameter(AFTER, request.query_params[AFTER], why)
    found, total = await search(view, asked.query, _uids(request), base)
    headers = {**_NOT_KEPT, "X-Total-Count": str(total)}
    remaining = total - asked.query.offset - len(found)
    told = [*asked.warnings, *([told_of(remaining)] if remaining > 0 else [])]
    if asked.query.order:
        told.append(_UNORDERED)
    warnings = [warning(base, text) for text in told]
    return await dicom_json(request, orjson.dumps(found), warnings=warnings, headers=headers)


@router.get(_STUDY + "/metadata")
@router.get(_SERIES + "/metadata")
@router.get(_INSTANCE + "/metadata")
async def retrieve_metadata(request: Request) -> Response:
    """What is left of the attributes."""
    _demand_json(request)
    view = await _view(request, Action.READ)
    pieces = _metadata(view, _uids(request))
    response = StreamingResponse(pieces, media_type="application/dicom+json", headers=_NOT_KEPT)
    await response.begin()
    return response


@router.get(_STUDY)
@router.get(_SERIES)
@router.get(_INSTANCE)
async def retrieve(request: Request) -> Response:
    """The instances, written anew."""
    view, base = await _view(request, Action.READ), await _base(request)
    uids, accepted = _uids(request), accepted_by(request)
    first = await view.one(uids)
    single = len(uids) == len(("study", "series", "instance"))
    # Before the first byte, since later ones may be stored in another transfer syntax.
    for instance in () if single else await view.frames_of(uids):
        _offer(instance, accepted, single=False)
    offer = _offer(first.instance, accepted, single=single)
    if not offer.multipart:
        body = file_pieces(view.archive, first)
        return StreamingResponse(ahead(body), media_type=offer.content_type, headers=_NOT_KEPT)
    writer = Writer(DICOM)
    gates: Gates = request.app.state.gates
    message = _message(view, uids, accepted, writer, base, None if single else gates)
    response = StreamingResponse(ahead(message), media_type=writer.content_type, headers=_NOT_KEPT)
    await response.begin()
    return response


@router.get(_INSTANCE + "/frames/{frames}")
async def retrieve_frames(request: Request, frames: str) -> Response:
    """Frames as they are stored, or recoded."""
    view, base = await _view(request, Action.READ), await _base(request)
    shown = await view.one(_uids(request))
    numbers = frame_numbers(frames, view.archive.settings.limits.frames_per_request)
    plan = await service.retrieve_frames(
        view.archive, view.visibility, _target(shown), numbers, accepted_by(request)
    )
    assert isinstance(plan.parts, tuple)
    parts = tuple(
        replace(part, location=f"{shown.path}/frames/{number}")
        for part, number in zip(plan.parts, numbers, strict=True)
    )
    return _untelling(await plan_response(request, view.archive, replace(plan, parts=parts), base))


@router.get(_INSTANCE + "/rendered")
@router.get(_FRAME + "/rendered")
@router.get(_STUDY + "/thumbnail")
@router.get(_SERIES + "/thumbnail")
@router.get(_INSTANCE + "/thumbnail")
@router.get(_FRAME + "/thumbnail")
async def retrieve_image(request: Request) -> Response:
    """An image to look at, without overlays and annotation; of many, the first or middle one."""
    view = await _view(request, Action.RENDER)
    offer = choose(accepted_by(request), FRAME_OFFERS)
    if offer is None:
        raise NotAcceptable("Frames are rendered as image/jpeg, image/png and image/gif.")
    parameters = given_once(request, _PARAMETERS)
    small = request.scope["path"].endswith("/thumbnail")
    parse = Rendering.parse_thumbnail if small else Rendering.parse
    largest = view.archive.settings.limits.rendered_pixels
    rendering = replace(parse(offer.media_type, parameters, largest), bare=True)
    shown = await view.one(_uids(request))
    frame = request.path_params.get("frame")
    count = shown.instance.number_of_frames or 1
    number = frame_numbers(frame, 1)[0] if frame else (count // 2 + 1 if small else 1)
    require_frames(shown.instance, number)
    frame_shown = Frame(shown.instance, number)
    try:
        image = await render_frame(view.archive, view.visibility, frame_shown, rendering)
    except Unprocessable:
        # Why not is told with values of attributes.
        raise Unprocessable("The image cannot be decoded.") from None
    return Response(image, 200, _NOT_KEPT, rendering.media_type)


async def _view(request: Request, action: Action) -> View:
    guest: Principal = await get_principal(request)
    return View(await get_archive(request), guest, action, request.state.audit)


async def _base(request: Request) -> str:
    return await dicomweb_base(request) + DEIDENTIFIED


def _uids(request: Request) -> list[str]:
    named = (request.path_params.get(name) for name in ("study", "series", "instance"))
    return [uid for uid in named if uid is not None]


def _target(shown: Shown) -> Target:
    one = shown.instance
    return Target(one.study_instance_uid, one.series_instance_uid, one.sop_instance_uid)


def _demand_json(request: Request) -> None:
    offers = [offer for offer in ATTRIBUTES_OFFERS if offer.media_type != DICOM_XML]
    if choose(accepted_by(request), offers) is None:
        raise NotAcceptable("What is de-identified is told as application/dicom+json.")


def _offer(instance: StoredInstance, accepted: Sequence[MediaRange], *, single: bool) -> Offer:
    offers = [one for one in dicom_offers(syntax_of(instance), single=single) if one.as_stored]
    offer = choose(accepted, offers)
    if offer is None:
        sent = ", ".join(one.content_type for one in offers)
        raise NotAcceptable(f"De-identified it can be sent as: {sent}")
    return offer


async def _metadata(view: View, uids: Sequence[str]) -> AsyncGenerator[bytes]:
    before = b"["
    async for shown in view.shown(uids, whole=True):
        yield before + orjson.dumps(shown.attributes)
        before = b","
    if before == b"[":
        raise NotFound
    yield b"]"


async def _message(
    view: View,
    uids: Sequence[str],
    accepted: Sequence[MediaRange],
    writer: Writer,
    base: str,
    gates: Gates | None,
) -> AsyncGenerator[bytes]:
    async with gates.reads.turn() if gates else nullcontext():
        async for shown in view.shown(uids, whole=True):
            offer = replace(_offer(shown.instance, accepted, single=False), multipart=False)
            yield writer.part(
                {"Content-Type": offer.content_type, "Content-Location": base + shown.path}
            )
            async for piece in file_pieces(view.archive, shown):
                yield piece
    yield writer.end()


def _untelling(response: Response) -> Response:
    """Without what was made of the bytes as they were stored, and of when that was."""
    for name in _TELLING:
        if name in response.headers:
            del response.headers[name]
    response.headers["Cache-Control"] = "no-store"
    return response
