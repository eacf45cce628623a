"""POST /studies and POST /studies/{study}: the Store transaction over HTTP (PS3.18 10.5)."""

from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Response

from app.blobs.spool import spool_directory
from app.dicom import jsonmodel, nativexml
from app.dicom.mediatypes import DICOM_XML, REPORT_OFFERS
from app.gate import Gate
from app.store import service
from app.store.asking import DUPLICATES_PARAMETER, Ask, Asked, StudyOfUrl
from app.store.message import DICOM, MULTIPART, parts_of
from app.store.metadata import FORMS
from app.store.recorded import StoreRecord
from app.store.response import report, status_of
from app.web.dependencies import DICOMWEB
from app.web.plain_route import PlainRoute
from app.web.responses import dicom_json

router = APIRouter(prefix=DICOMWEB, tags=["Store"], route_class=PlainRoute)


_FILE = {"schema": {"type": "string", "format": "binary"}}
_BODIES = (
    DICOM,
    f'{MULTIPART}; type="{DICOM}"',
    *(f'{MULTIPART}; type="{form}"' for form in FORMS),
    *FORMS,
)
_REPORT: dict[str, Any] = {offer.media_type: {} for offer in REPORT_OFFERS}
_DOCUMENTED: dict[str, Any] = {
    "openapi_extra": {
        "parameters": [DUPLICATES_PARAMETER],
        "requestBody": {
            "required": True,
            "description": "Part 10 files: one by itself, or one in each part of a message. Or"
            " metadata, and bulk data in parts with the Content-Location that BulkDataURIs name",
            "content": dict.fromkeys(_BODIES, _FILE),
        },
    },
    "responses": {
        200: {"description": "All instances are stored", "content": _REPORT},
        202: {
            "description": "Some instances failed, or are stored with a warning",
            "content": _REPORT,
        },
        400: {"description": "The message is malformed, or holds nothing"},
        406: {"description": "The answer cannot be given in an accepted media type"},
        409: {"description": "No instance is stored", "content": _REPORT},
        413: {"description": "The message is larger than a limit of this archive"},
        415: {"description": "The body is of another media type"},
        503: {"description": "Space, the blobs or the index are lacking, or it is too busy"},
    },
}


@router.post("/studies", **_DOCUMENTED)
async def store_instances(ask: Asked) -> Response:
    """Store instances of any studies."""
    return await _store(ask, None)


@router.post("/studies/{study_instance_uid}", **_DOCUMENTED)
async def store_instances_of_study(ask: Asked, study: StudyOfUrl) -> Response:
    """Store instances of one study; those of others are refused."""
    return await _store(ask, study)


async def _store(ask: Ask, study: str | None) -> Response:
    request = ask.request
    settings = ask.archive.settings
    parts = parts_of(
        request.headers.get("content-type"),
        request.stream(),
        settings.limits,
        spool_directory(settings.data_dir),
    )
    record = StoreRecord(request)
    gate: Gate = request.app.state.gates.stores
    async with gate.turn(), aclosing(parts):
        outcomes = await service.store(
            ask.archive,
            ask.partition_id,
            parts,
            study,
            ask.duplicates,
            ask.visibility,
            record,
        )
    write = nativexml.dumps if ask.answer_type == DICOM_XML else jsonmodel.dumps
    return await dicom_json(
        request,
        write(report(outcomes, ask.base)),
        status=status_of(outcomes),
        media_type=ask.answer_type,
    )
