"""The Search transaction over HTTP (PS3.18 10.6): six resources, one answer.

    /studies        /studies/{study}/series       /studies/{study}/series/{series}/instances
    /series         /studies/{study}/instances
    /instances

200 also if nothing matches, with an empty array; a study that is not there has no series.
"""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.dicom.attributes import Level
from app.dicom.mediatypes import METADATA_OFFERS, acceptable, choose
from app.dicom.uids import valid_uid
from app.errors import BadRequest, NotAcceptable
from app.search.params import read_query_string
from app.search.service import search_for
from app.web.dependencies import DICOMWEB, ArchiveOf, BaseUrl, Reader
from app.web.plain_route import PlainRoute
from app.web.responses import dicom_json, warning

router = APIRouter(prefix=DICOMWEB, tags=["Search"], route_class=PlainRoute)


@router.get("/studies")
async def search_for_studies(
    request: Request, caller: Reader, archive: ArchiveOf, base: BaseUrl
) -> Response:
    """Studies, newest first."""
    return await _search(request, caller, archive, base, Level.STUDY)


@router.get("/series")
async def search_for_series(
    request: Request, caller: Reader, archive: ArchiveOf, base: BaseUrl
) -> Response:
    """Series of any study, those of the newest study first."""
    return await _search(request, caller, archive, base, Level.SERIES)


@router.get("/instances")
async def search_for_instances(
    request: Request, caller: Reader, archive: ArchiveOf, base: BaseUrl
) -> Response:
    """Instances of any study, those of the newest study first."""
    return await _search(request, caller, archive, base, Level.INSTANCE)


@router.get("/studies/{study}/series")
async def search_for_series_of_study(
    request: Request, caller: Reader, archive: ArchiveOf, base: BaseUrl, study: str
) -> Response:
    """Series of one study, by their numbers."""
    return await _search(request, caller, archive, base, Level.SERIES, study)


@router.get("/studies/{study}/instances")
async def search_for_instances_of_study(
    request: Request, caller: Reader, archive: ArchiveOf, base: BaseUrl, study: str
) -> Response:
    """Instances of one study, by the numbers of their series and their own."""
    return await _search(request, caller, archive, base, Level.INSTANCE, study)


@router.get("/studies/{study}/series/{series}/instances")
async def search_for_instances_of_series(
    request: Request, caller: Reader, archive: ArchiveOf, base: BaseUrl, study: str, series: str
) -> Response:
    """Instances of one series, by their numbers."""
    return await _search(request, caller, archive, base, Level.INSTANCE, study, series)


async def _search(
    request: Request,
    caller: Reader,
    archive: ArchiveOf,
    base: str,
    level: Level,
    study: str | None = None,
    series: str | None = None,
) -> Response:
    ranges = acceptable(request.query_params.getlist("accept"), request.headers.get("accept"))
    offer = choose(ranges, METADATA_OFFERS)
    if offer is None:
        raise NotAcceptable("Results of a search can be had as application/dicom+json.")
    asked = read_query_string(
        request.scope["query_string"],
        level,
        most_results=archive.settings.limits.search_results,
        study_instance_uid=_uid(study),
        series_instance_uid=_uid(series),
    )
    found = await search_for(archive, caller.visibility, asked.query, base)
    warnings = list(asked.warnings)
    if found.remaining:
        warnings.append(f"There are {found.remaining} additional results that can be requested")
    return await dicom_json(
        request,
        found.body,
        media_type=offer.content_type,
        warnings=[warning(base, text) for text in warnings],
    )


def _uid(value: str | None) -> str | None:
    if value is not None and not valid_uid(value):
        raise BadRequest(f"{value[:128]!r} in the path is no UID.")
    return value
