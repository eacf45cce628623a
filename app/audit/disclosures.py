"""Who has seen what of a patient: when, from where and why, for the patient who asks.

It lists what was read of one patient's studies, and the searches that were for this patient or had
one of the studies on the page that was answered.
"""

import csv
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, fields, replace
from typing import TextIO

from app.audit.codes import MEANINGS
from app.audit.event import Action, EventId, Outcome
from app.audit.telling import id_of, instant, request_line
from app.dicom import normal
from app.errors import InvalidParameter
from app.index import audit_search
from app.index.audit_search import OfKind, OfPatient, OneOf, Wanted
from app.index.audits import StoredRecord
from app.index.database import Connection

PAGE = 1000
_KINDS = OfKind(
    [
        (EventId.INSTANCES_ACCESSED, Action.READ),
        (EventId.INSTANCES_TRANSFERRED, Action.READ),
        (EventId.EXPORT, Action.READ),
        (EventId.QUERY, Action.EXECUTE),
    ]
)
_BEGINS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Disclosure:
    """One look at something of a patient."""

    at: str
    who: str | None
    address: str | None
    what: str
    study_instance_uid: str | None
    series_instance_uid: str | None
    sop_instance_uid: str | None
    purpose: str | None
    reason: str | None
    override: str | None
    """The emergency override through which it was."""
    request: str
    record: str
    """The id of the record in the audit."""


def all_of(partition_id: int, patient: str, issuer: str | None = None) -> Wanted:
    """What finds all of them, the latest first. `issuer` is None for any, and empty for none.

    Raises `InvalidParameter` for what is no Patient ID, or no issuer of one.
    """
    patient_id = normal.text(patient) if patient.isprintable() else None
    if patient_id is None:
        raise InvalidParameter("patient", patient, "is no Patient ID")
    if issuer is not None and not issuer.isprintable():
        raise InvalidParameter("issuer", issuer, "is no Issuer of Patient ID")
    of = None if issuer is None else normal.text(issuer) or ""
    return Wanted(
        partition_id=partition_id,
        conditions=(
            OfPatient([(patient_id, of)]),
            _KINDS,
            OneOf("outcome", [int(Outcome.SUCCESS)]),
        ),
        limit=PAGE,
    )


async def page_of(connection: Connection, wanted: Wanted) -> tuple[list[Disclosure], Wanted | None]:
    """The next ones, and what finds those behind them, if there may be any."""
    found = await audit_search.search(connection, wanted)
    told = [_disclosure(record) for record in found]
    if len(found) < wanted.limit:
        return told, None
    return told, replace(wanted, after=(found[-1].at, found[-1].sequence))


async def disclosures(
    connection: Connection, partition_id: int, patient: str, issuer: str | None = None
) -> AsyncIterator[Disclosure]:
    """All of them, the latest first, as `all_of` finds them."""
    wanted: Wanted | None = all_of(partition_id, patient, issuer)
    while wanted is not None:
        told, wanted = await page_of(connection, wanted)
        for one in told:
            yield one


def _disclosure(record: StoredRecord) -> Disclosure:
    return Disclosure(
        at=instant(record.at),
        who=record.principal,
        address=record.client_address,
        what=MEANINGS[record.event],
        study_instance_uid=record.study_instance_uid,
        series_instance_uid=record.series_instance_uid,
        sop_instance_uid=record.sop_instance_uid,
        purpose=record.purpose,
        reason=record.reason,
        override=None if record.override is None else str(record.override),
        request=request_line(record),
        record=id_of(record),
    )


class CsvReport:
    """Writes disclosures as lines of a table; no value is taken for a formula by what opens it."""

    def __init__(self, file: TextIO) -> None:
        self._writer = csv.writer(file)
        self._writer.writerow([field.name for field in fields(Disclosure)])

    def write(self, disclosure: Disclosure) -> None:
        """One more line."""
        self._writer.writerow([_harmless(value or "") for value in asdict(disclosure).values()])


def _harmless(value: str) -> str:
    return f"'{value}" if value.startswith(_BEGINS_A_FORMULA) else value
