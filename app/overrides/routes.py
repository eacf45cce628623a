"""Emergency overrides over HTTP: who may break the glass opens what is closed to them.

    /overrides               POST  GET
    /overrides/{override}    DELETE

An extension, in plain JSON. Everybody sees and ends the own ones, administrators all of the
partition. No cookie and no token in an address is taken here.
"""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.access import overrides
from app.access.authenticator import Authenticator
from app.access.overrides import Asked
from app.audit.event import Note
from app.audit.overrides import note_asked
from app.index.overrides import StoredOverride
from app.overrides import service
from app.web.audit import event_of
from app.web.dependencies import ArchiveOf, Reader
from app.web.plain_json import PAGE, After, Body, Limit, RowId, answer

router = APIRouter(prefix="/overrides", tags=["Emergency"])

CREATED, NO_CONTENT = 201, 204


class OverrideAsked(Body):
    """An emergency override to be opened: of one study, or of one patient."""

    reason: str
    """why; the audit keeps it"""
    study_instance_uid: str | None = None
    patient_id: str | None = None
    issuer_of_patient_id: str | None = None
    """without it, any"""
    minutes: int | None = None
    """how long; without it, as the settings say"""


@router.post("", status_code=CREATED)
async def open_override(
    caller: Reader, archive: ArchiveOf, request: Request, asked: OverrideAsked
) -> Response:
    """Open what is closed to the caller, for the caller alone and a while; it is alerted of."""
    note: Note = request.state.audit
    wanted = Asked(**dict(asked))
    note_asked(note, wanted.reason, wanted.study_instance_uid, wanted.patient_id)
    # In an emergency, who was given the right to it a moment ago does not wait until it is noticed.
    authenticator: Authenticator = request.app.state.authenticator
    caller = await authenticator.looked_up_again(caller)
    opened = await service.open_override(
        archive, caller, wanted, note, lambda: event_of(request, CREATED)
    )
    return answer(_described(opened), CREATED)


@router.get("")
async def list_overrides(
    caller: Reader, archive: ArchiveOf, after: After = 0, limit: Limit = PAGE
) -> Response:
    """What is open, by its ids; `after` goes on behind one."""
    found = await overrides.list_overrides(
        archive.database, caller.partition_id, caller.whose, after=after, limit=limit
    )
    return answer([_described(override) for override in found])


@router.delete("/{override}", status_code=NO_CONTENT)
async def end_override(
    caller: Reader, archive: ArchiveOf, request: Request, override: RowId
) -> Response:
    """Close it again, from the next request on."""
    await service.end_override(
        archive, caller, override, request.state.audit, lambda: event_of(request, NO_CONTENT)
    )
    return Response(status_code=NO_CONTENT)


def _described(override: StoredOverride) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": override.id,
        "subject": override.subject,
        "opened_by": override.opened_by,
        "reason": override.reason,
        "study_instance_uid": override.study_instance_uid,
        "patient_id": override.patient_id,
        "issuer_of_patient_id": override.issuer_of_patient_id,
        "opened_at": override.opened_at.isoformat(),
        "expires_at": override.expires_at.isoformat(),
    }
    return {name: value for name, value in told.items() if value is not None}
