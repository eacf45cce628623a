"""`unasked`: the record of something that is done without a request, by a command or by time."""

import secrets
from datetime import UTC, datetime
from typing import Any

from app.audit.event import Action, AuditEvent, EventId, Outcome


def unasked(event: EventId, action: Action, *, by: str, **more: Any) -> AuditEvent:
    """The record of what `by` is doing at this moment; `more` are its other fields.

    A word takes the place of the method, and 200 that of the status.
    """
    record: dict[str, Any] = {
        "at": datetime.now(UTC),
        "request_id": secrets.token_hex(8),
        "outcome": Outcome.SUCCESS,
        "client_address": None,
        "status": 200,
        "series_instance_uid": None,
        "sop_instance_uid": None,
    }
    return AuditEvent(event=event, action=action, principal=by, **(record | more))
