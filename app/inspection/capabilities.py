"""The CapabilityStatement: what of FHIR R4 the archive has, which is its audit."""

from importlib.metadata import version
from typing import Any

from app.audit.fhir import MEDIA_TYPE

_DATE = "2026-11-28"
"""When what is stated here changed last."""
_PARAMETERS = {
    "date": ("date", "when, with a prefix; repeated, each narrows the others"),
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
    told = {name: what for name, (_, what) in _PARAMETERS.items()} | _OF_PAGES
    return [
        {"name": name, "in": "query", "description": what, "schema": {"type": "string"}}
        for name, what in told.items()
    ]


def capability_statement(base: str) -> dict[str, Any]:
    """The resource; `base` is the URL that resources lie below."""
    parameters = [{"name": name, "type": kind} for name, (kind, _) in _PARAMETERS.items()]
    audit = {
        "type": "AuditEvent",
        "interaction": [{"code": "read"}, {"code": "search-type"}],
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
