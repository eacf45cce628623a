"""What the audit says of a repair: one record for each, written before it is done."""

import os
import secrets
from datetime import UTC, datetime

from app.audit.event import Action, AuditEvent, EventId, Outcome
from app.upkeep.findings import Finding

METHOD = "REPAIR"
"""In the place of an HTTP method: nobody asked over HTTP."""


def event_of(finding: Finding) -> AuditEvent:
    """The record of the repair of what was found, done by whoever runs the check."""
    return AuditEvent(
        partition_id=finding.partition_id,
        at=datetime.now(UTC),
        request_id=secrets.token_hex(8),
        event=EventId.APPLICATION_ACTIVITY,
        action=Action.UPDATE,
        outcome=Outcome.SUCCESS,
        principal=f"hilum check, run by user {os.getuid()}",
        client_address=None,
        method=METHOD,
        path=f"/{finding.fault}",
        query=finding.blob_key,
        status=200,
        study_instance_uid=finding.study_instance_uid,
        series_instance_uid=finding.series_instance_uid,
        sop_instance_uid=finding.sop_instance_uid,
    )
