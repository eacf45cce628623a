"""Who has seen what of a patient, for the patient who asks: `hilum audit disclosures` by HTTP.

    /audit/patients/{patient}/disclosures[?issuer=ISSUER]    text/csv, or lines of JSON

It needs the scope `audit`, and is itself recorded, as Audit Log Used. What is told is read page by
page, so that however long the report is, it takes little memory and holds no connection.
"""

import io
from collections.abc import AsyncIterator, Iterable
from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from app.archive import Archive
from app.audit.disclosures import CsvReport, Disclosure, all_of, page_of
from app.audit.event import Note, identifier
from app.index.audit_search import Wanted
from app.web.dependencies import ArchiveOf, Auditor
from app.web.responses import StreamingResponse

CSV = "text/csv; charset=utf-8"
JSON_LINES = "application/x-ndjson"

router = APIRouter(tags=["Audit"])


@router.get("/audit/patients/{patient:path}/disclosures", response_class=Response)
async def report_disclosures(
    caller: Auditor,
    archive: ArchiveOf,
    request: Request,
    patient: str,
    issuer: Annotated[str | None, Query()] = None,
) -> Response:
    """Who has seen what of a patient, the latest first: CSV, or JSON if that is asked for."""
    as_json = "json" in request.headers.get("accept", "")
    wanted = all_of(caller.partition_id, patient, issuer)
    note: Note = request.state.audit
    note.issuer_of_patient_id = identifier(issuer or "")
    # The first page by now, so that what goes wrong is still told by a status.
    async with archive.reading() as connection:
        first = await page_of(connection, wanted)
    return StreamingResponse(
        _written(archive, first, as_json=as_json),
        headers={"Cache-Control": "no-store", "Vary": "Accept"},
        media_type=JSON_LINES if as_json else CSV,
    )


async def _written(
    archive: Archive, first: tuple[list[Disclosure], Wanted | None], *, as_json: bool
) -> AsyncIterator[bytes]:
    file = io.StringIO()
    table = None if as_json else CsvReport(file)
    told, wanted = first
    while True:
        if table is None:
            yield _lines(told)
        else:
            for one in told:
                table.write(one)
            yield file.getvalue().encode()
            file.seek(0)
            file.truncate()
        if wanted is None:
            return
        async with archive.reading() as connection:
            told, wanted = await page_of(connection, wanted)


def _lines(told: Iterable[Disclosure]) -> bytes:
    return b"".join(orjson.dumps(one) + b"\n" for one in told)
