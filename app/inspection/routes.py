"""The audit of the partition that the caller works in, as FHIR R4 (IHE ITI-81).

    /fhir/AuditEvent            searched; by POST with a form at /fhir/AuditEvent/_search
    /fhir/AuditEvent/{id}       one record
    /fhir/metadata              what of FHIR there is

It needs the scope `audit`. Looking into the audit is itself recorded, as Audit Log Used.
"""

from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from app.access.principal import Principal
from app.archive import Archive
from app.audit.event import Note
from app.audit.fhir import audit_event_of
from app.audit.queries import QUERY_CHARACTERS, query_told, without_tokens
from app.errors import UnsupportedMediaType
from app.index.audits import StoredRecord
from app.inspection.capabilities import FORM, capability_statement, described, described_form
from app.inspection.params import AFTER, Asked, after, read
from app.inspection.route import FhirRoute, resource
from app.inspection.service import record_of, search_for_records
from app.web.content_type import parse_content_type
from app.web.dependencies import DICOMWEB, ArchiveOf, Auditor, BaseUrl, Caller

FHIR = "/fhir"

router = APIRouter(prefix=FHIR, tags=["Audit"], route_class=FhirRoute)


async def fhir_base(base: BaseUrl) -> str:
    """The absolute URL that resources of FHIR lie below."""
    return base.removesuffix(DICOMWEB) + FHIR


FhirBase = Annotated[str, Depends(fhir_base)]


@router.get("/AuditEvent", openapi_extra={"parameters": described()})
async def search_for_audit_events(
    caller: Auditor, archive: ArchiveOf, base: FhirBase, request: Request
) -> Response:
    """Records of the audit, latest first, in pages that link to one another."""
    return await _search(caller, archive, base, request, request.scope["query_string"])


@router.post("/AuditEvent/_search", openapi_extra=described_form())
async def search_for_audit_events_by_form(
    caller: Auditor, archive: ArchiveOf, base: FhirBase, request: Request
) -> Response:
    """The same with parameters in a form, besides those in the address."""
    kind = parse_content_type(request.headers.get("content-type", FORM))
    if kind.type != FORM:
        raise UnsupportedMediaType(f"A search takes {FORM} alone.")
    given = (request.scope["query_string"], await request.body())
    return await _search(caller, archive, base, request, b"&".join(filter(None, given)))


async def _search(
    caller: Principal, archive: Archive, base: str, request: Request, query: bytes
) -> Response:
    note: Note = request.state.audit
    note.told = query_told(query[:QUERY_CHARACTERS]) or ""
    asked = read(query, caller.partition_id)
    # What is understood names parameters of the audit alone, and so nobody but by an identifier.
    note.told = without_tokens(urlencode(asked.parameters, safe="*,:|"))[:QUERY_CHARACTERS]
    found, more = await search_for_records(archive, asked.wanted)
    url = f"{base}/AuditEvent"
    source = archive.settings.audit_source
    bundle: dict[str, Any] = {
        "resourceType": "Bundle",
        "type": "searchset",
        "link": _links(url, asked, found[-1] if more and found else None),
    }
    if found:
        bundle["entry"] = [_entry(url, record, source) for record in found]
    return resource(bundle)


@router.get("/AuditEvent/{identity}")
async def read_audit_event(caller: Auditor, archive: ArchiveOf, identity: str) -> Response:
    """One record of the audit."""
    record = await record_of(archive, caller.partition_id, identity)
    return resource(audit_event_of(record, archive.settings.audit_source))


@router.get("/metadata")
async def capabilities(_: Caller, base: FhirBase) -> Response:
    """What of FHIR there is: a CapabilityStatement."""
    return resource(capability_statement(base))


def _links(url: str, asked: Asked, last: StoredRecord | None) -> list[dict[str, str]]:
    links = [{"relation": "self", "url": _url(url, asked.parameters)}]
    if last is not None:
        place = (AFTER, after(last.at, last.sequence))
        links.append({"relation": "next", "url": _url(url, [*asked.kept, place])})
    return links


def _url(url: str, pairs: Sequence[tuple[str, str]]) -> str:
    return f"{url}?{urlencode(pairs)}" if pairs else url


def _entry(url: str, record: StoredRecord, source: str) -> dict[str, Any]:
    event = audit_event_of(record, source)
    return {"fullUrl": f"{url}/{event['id']}", "resource": event, "search": {"mode": "match"}}
