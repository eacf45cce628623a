"""What a store asks for beside its body: by whom, into which study, answered how, and what becomes
of duplicates. All of it is settled before a byte of the body is read.
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Query, Request

from app.access.principal import Principal, Scope
from app.archive import Archive
from app.dicom.mediatypes import REPORT_OFFERS, acceptable, choose
from app.dicom.uids import valid_uid
from app.errors import InvalidParameter, NotAcceptable
from app.settings import Duplicates
from app.web.dependencies import Storer, base_url, get_archive


@dataclass(frozen=True, slots=True)
class Ask:
    """What every store has in common."""

    request: Request
    archive: Archive
    partition_id: int
    base: str
    """The absolute URL of the DICOMweb base."""
    answer_type: str
    duplicates: Duplicates


async def asked(
    request: Request,
    caller: Storer,
    duplicates: Annotated[
        Duplicates | None,
        Query(
            description="What becomes of an instance whose UID is stored with other content, where"
            " it is not what the settings say; `replace` needs the scope `delete` then"
        ),
    ] = None,
) -> Ask:
    """Who asks for what. Raises `NotAcceptable` and `Forbidden`."""
    archive = await get_archive(request)
    return Ask(
        request,
        archive,
        caller.partition_id,
        await base_url(request),
        _answer_type(request),
        _policy(duplicates, archive.settings.duplicates, caller),
    )


async def study_of_url(
    study_instance_uid: Annotated[str, Path(description="Study Instance UID")],
) -> str:
    """The UID in the path; raises `InvalidParameter` if it is none."""
    if not valid_uid(study_instance_uid):
        raise InvalidParameter("study", study_instance_uid, "is no UID")
    return study_instance_uid


Asked = Annotated[Ask, Depends(asked)]
StudyOfUrl = Annotated[str, Depends(study_of_url)]


def _answer_type(request: Request) -> str:
    ranges = acceptable(request.query_params.getlist("accept"), request.headers.get("accept"))
    offer = choose(ranges, REPORT_OFFERS)
    if offer is None:
        raise NotAcceptable
    return offer.media_type


def _policy(asked_for: Duplicates | None, configured: Duplicates, caller: Principal) -> Duplicates:
    """What is done to duplicates. To replace is to take something away from those who read."""
    if asked_for is None or asked_for is configured:
        return configured
    if asked_for is Duplicates.REPLACE:
        caller.demand(Scope.DELETE)
    return asked_for
