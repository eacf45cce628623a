"""`Patients`: whose the studies are that records tell of, remembered for a moment.

A viewer asks for thousands of frames of one study. A study keeps its patient unless instances are
replaced: then it is forgotten here, and in other processes it has been a moment later. Of what was
refused or not found nothing is remembered: it is looked up alike whether it is there or hidden, so
that the time tells nothing.
"""

import time
from collections.abc import Sequence
from dataclasses import replace

from app.audit.event import Action, AuditEvent
from app.index import audits
from app.index.database import Connection

REMEMBERED = 4096
REMEMBERED_SECONDS = 2.0

_Patient = tuple[str | None, str | None]


class Patients:
    """The patients of the studies of which one process has records to write."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, str], tuple[float, _Patient]] = {}

    async def told(self, connection: Connection, events: Sequence[AuditEvent]) -> list[AuditEvent]:
        """The events, all of one partition, with the patients of their studies."""
        partition_id, now = events[0].partition_id, time.monotonic()
        found: dict[str, _Patient] = {}
        missing: set[str] = set()
        for event in events:
            study = event.study_instance_uid
            if study is None or event.patient_id is not None or event.patients:
                continue
            if event.action == Action.UPDATE:
                self._known.pop((partition_id, study), None)
            known = self._known.get((partition_id, study))
            if known is not None and now < known[0] and event.status < 400:
                found[study] = known[1]
            else:
                missing.add(study)
        if missing:
            read = await audits.patients(connection, partition_id, sorted(missing))
            found |= read
            self._remember(partition_id, read, events, now + REMEMBERED_SECONDS)
        return [_with_patient(event, found) for event in events] if found else list(events)

    def _remember(
        self,
        partition_id: int,
        read: dict[str, _Patient],
        events: Sequence[AuditEvent],
        until: float,
    ) -> None:
        if len(self._known) + len(read) > REMEMBERED:
            self._known.clear()
        for study in {e.study_instance_uid for e in events if e.status < 400} & read.keys():
            if study is not None:
                self._known[partition_id, study] = until, read[study]


def _with_patient(event: AuditEvent, found: dict[str, _Patient]) -> AuditEvent:
    study = event.study_instance_uid
    if study is None or event.patient_id is not None or event.patients or study not in found:
        return event
    patient_id, issuer = found[study]
    return replace(event, patient_id=patient_id, issuer_of_patient_id=issuer)
