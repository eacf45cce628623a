"""The metadata of instances over HTTP (PS3.18 10.4.1.1.2).

/studies/{study}/metadata
/studies/{study}/series/{series}/metadata
/studies/{study}/series/{series}/instances/{instance}/metadata
"""

from email.utils import format_datetime

from fastapi import APIRouter
from starlette.responses import Response

from app.dicom.mediatypes import ATTRIBUTES_OFFERS, DICOM_JSON, DICOM_XML, JSON, MULTIPART, choose
from app.errors import NotAcceptable
from app.retrieve.asking import Ask, Asked, answers, target_of
from app.retrieve.metadata import (
    find_instance_metadata,
    find_metadata,
    instance_json,
    instance_validator,
    is_long,
)
from app.retrieve.metadata_forms import Form, page_of_instance, pages_of_series, read_fields
from app.retrieve.metadata_response import form_response, metadata_response
from app.retrieve.service import Target
from app.web.dependencies import DICOMWEB
from app.web.plain_route import PlainRoute
from app.web.responses import dicom_json, etag_of_json, not_modified

router = APIRouter(prefix=DICOMWEB, tags=["Retrieve"], route_class=PlainRoute)

_METADATA = answers(
    "An array with an object for each instance, or a part with a document for each",
    DICOM_JSON,
    JSON,
    f'{MULTIPART}; type="{DICOM_XML}"',
)


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
    form = _form(ask)
    found = await find_instance_metadata(
        ask.archive, ask.visibility, target_of(study, series, instance)
    )
    validator = instance_validator(found, f"{form} {ask.base}")
    if form.is_made or is_long(found):
        pages = page_of_instance(found)
        return await form_response(ask.request, form, pages, validator, found.created_at, ask.base)
    etag = etag_of_json(ask.request, validator)
    unchanged = not_modified(ask.request, etag)
    if unchanged is not None:
        return unchanged
    return await dicom_json(
        ask.request,
        instance_json(found, ask.base),
        media_type=form.media_type,
        etag=etag,
        headers={"Last-Modified": format_datetime(found.created_at, usegmt=True)},
    )


async def _metadata(ask: Ask, target: Target) -> Response:
    form = _form(ask)
    metadata = await find_metadata(ask.archive, ask.visibility, target, ask.base, anew=form.is_made)
    if form.is_made:
        pages = pages_of_series(ask.archive, ask.visibility, metadata)
        validator = metadata.validator(str(form))
        return await form_response(ask.request, form, pages, validator, metadata.newest, ask.base)
    return await metadata_response(
        ask.request, ask.archive, ask.visibility, metadata, form.media_type
    )


def _form(ask: Ask) -> Form:
    offer = choose(ask.accepted, ATTRIBUTES_OFFERS)
    if offer is None:
        raise NotAcceptable("Metadata is sent as application/dicom+json or application/dicom+xml.")
    return Form(offer.media_type, read_fields(ask.request.query_params.getlist("includefield")))
