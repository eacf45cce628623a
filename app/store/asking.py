"""What a store asks for beside its body: by whom, into which study, answered how, and what becomes
of duplicates. All of it is settled before a byte of the body is read.
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from app.access.principal import Principal, Scope
from app.archive import Archive
from app.dicom.mediatypes import REPORT_OFFERS, choose
from app.dicom.uids import valid_uid
from app.errors import InvalidParameter, NotAcceptable
from app.index.restriction import Action
from app.index.visibility import Visibility
from app.settings import Duplicates
from app.web.accepting import accepted_by
from app.web.dependencies import Storer, base_url, get_archive


@dataclass(frozen=True, slots=True)
class Ask:
    """What every store has in common."""

    request: Request
    archive: Archive
    partition_id: int
    visibility: Visibility | None
    """What may be stored, if not everything."""
    base: str
    """The absolute URL of the DICOMweb base."""
    answer_type: str
    duplicates: Duplicates


DUPLICATES_PARAMETER = {
    "name": "duplicates",
    "in": "query",
    "description": "What becomes of an instance whose UID is stored with other content, where it is"
    " not what the settings say; `replace` needs the scope `delete` then",
    "schema": {"type": "string", "enum": [policy.value for policy in Duplicates]},
}
"""What the OpenAPI document says of it."""


async def asked(request: Request, caller: Storer) -> Ask:
    """Who asks for what. Raises `NotAcceptable`, `InvalidParameter` and `Forbidden`."""
    archive = await get_archive(request)
    policy = _policy(request, archive.settings.duplicates, caller)
    return Ask(
        request,
        archive,
        caller.partition_id,
        caller.visibility_for(Action.STORE) if caller.holder else None,
        await base_url(request),
        _answer_type(request),
        policy,
    )


async def study_of_url(study_instance_uid: str) -> str:
    """The UID in the path; raises `InvalidParameter` if it is none."""
    if not valid_uid(study_instance_uid):
        raise InvalidParameter("study", study_instance_uid, "is no UID")
    return study_instance_uid


Asked = Annotated[Ask, Depends(asked)]
StudyOfUrl = Annotated[str, Depends(study_of_url)]


def _answer_type(request: Request) -> str:
    offer = choose(accepted_by(request), REPORT_OFFERS)
    if offer is None:
        raise NotAcceptable
    return offer.media_type


def _policy(request: Request, configured: Duplicates, caller: Principal) -> Duplicates:
    """What is done to duplicates. To replace is to take something away from those who read."""
    given = request.query_params.getlist("duplicates")
    if not given:
        return configured
    named, *others = given
    if others:
        raise InvalidParameter("duplicates", others[0], "is given more than once")
    try:
        asked_for = Duplicates(named)
    except ValueError:
        why = f"is none of {', '.join(Duplicates)}"
        raise InvalidParameter("duplicates", named, why) from None
    if asked_for is configured:
        return configured
    if asked_for is Duplicates.REPLACE:
        caller.demand(Scope.DELETE)
    return asked_for
