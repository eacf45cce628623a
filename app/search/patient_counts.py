"""How many studies, series and instances a patient has, told with each of them on request."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from app.dicom import normal
from app.dicom.query import Query
from app.index.search import Found, FoundPatient, PatientKey

_COUNTS = {
    "00201200": "number_of_studies",
    "00201202": "number_of_series",
    "00201204": "number_of_instances",
}
PATIENT_COUNTS = frozenset(_COUNTS)
"""Their tags."""


def counts_of(found: FoundPatient, tags: Iterable[str] = _COUNTS) -> dict[str, Any]:
    """The counts with these tags, as DICOM JSON."""
    return {tag: {"vr": "IS", "Value": [getattr(found, _COUNTS[tag])]} for tag in tags}


def wanted_counts(query: Query) -> list[str]:
    """The tags of those counts that a query asks to return, each by its name."""
    return [tag for tag in _COUNTS if tag in query.included]


def patient_keys(found: Sequence[Found]) -> list[PatientKey | None]:
    """Whose each match is; None if nobody knows, or if nothing of its study was read."""
    return [_key(orjson.loads(match.study.attributes)) if match.study else None for match in found]


def _key(attributes: Mapping[str, Any]) -> PatientKey | None:
    patient_id, issuer = first_text(attributes, "00100020"), first_text(attributes, "00100021")
    return None if patient_id is None else (patient_id, issuer or "")


def first_text(attributes: Mapping[str, Any], tag: str) -> str | None:
    """The first value of an attribute, in the normal form that columns hold."""
    values = attributes.get(tag, {}).get("Value") or [None]
    return None if values[0] is None else normal.text(str(values[0]))
