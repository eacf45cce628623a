"""The CapabilityStatement: what of FHIR R4 the archive has, which is its audit."""

from importlib.metadata import version
from typing import Any

from app.audit.fhir import MEDIA_TYPE
from app.inspection.moments import PREFIXES

FORM = "application/x-www-form-urlencoded"
_DATE = "2026-11-29"
"""When what is stated here changed last."""
_PARAMETERS = {
    "date": (
        "date",
        f"when, with a prefix ({', '.join(PREFIXES)}) or none; repeated, each narrows the others",
    ),
    "agent": ("reference", "who: the name of the token"),
    "address": ("string", "from where: how it begins, or `address:exact`"),
    "patient": ("reference", "whose data: ID or ISSUER|ID"),
    "entity": ("reference", "which study: its UID"),
    "action": ("token", "C, R, U, D or E"),
    "outcome": ("token", "0, 4, 8 or 12"),
    "type": ("token", "of the event"),
    "subtype": ("token", "of the event"),
    "_id": ("token", "of the record"),
}
_OF_PAGES = {
    "_count": "records of a page",
    "_after": "where a page begins, as links have it",
    "_sort": "`-date`, as they are sorted",
}


def described() -> list[dict[str, Any]]:
    """The parameters of a search, for OpenAPI."""
    return [
        {"name": name, "in": "query", "description": what, "schema": {"type": "string"}}
        for name, what in _told().items()
    ]


def described_form() -> dict[str, Any]:
    """The same of a search by POST."""
    fields = {name: {"type": "string", "description": what} for name, what in _told().items()}
    form = {"schema": {"type": "object", "properties": fields}}
    return {"requestBody": {"content": {FORM: form}}}


def _told() -> dict[str, str]:
    return {name: what for name, (_, what) in _PARAMETERS.items()} | _OF_PAGES


def capability_statement(base: str) -> dict[str, Any]:
    """The resource; `base` is the URL that resources lie below."""
    parameters = [
        {"name": name, "type": kind, "documentation": what}
        for name, (kind, what) in _PARAMETERS.items()
    ]
    audit = {
        "type": "AuditEvent",
        "interaction": [
            {"code": "read"},
            {"code": "search-type", "documentation": "by GET, and by POST to _search with a form"},
        ],
        "searchParam": parameters,
    }
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": _DATE,
        "kind": "instance",
        "software": {"name": "Hilum", "version": version("hilum")},
        "implementation": {"description": "The audit of an archive", "url": base},
        "fhirVersion": "4.0.1",
        "format": [MEDIA_TYPE],
        "rest": [{"mode": "server", "resource": [audit]}],
    }
