"""What the audit says of a repair: one record for each, written before it is done."""

import os

from app.audit.event import Action, AuditEvent, EventId
from app.audit.unasked import unasked
from app.upkeep.findings import Finding

METHOD = "REPAIR"
"""In the place of an HTTP method: nobody asked over HTTP."""


def event_of(finding: Finding) -> AuditEvent:
    """The record of the repair of what was found, done by whoever runs the check."""
    return unasked(
        EventId.APPLICATION_ACTIVITY,
        Action.UPDATE,
        by=f"hilum check, run by user {os.getuid()}",
        partition_id=finding.partition_id,
        method=METHOD,
        path=f"/{finding.fault}",
        query=finding.blob_key,
        study_instance_uid=finding.study_instance_uid,
        series_instance_uid=finding.series_instance_uid,
        sop_instance_uid=finding.sop_instance_uid,
    )
