"""The Search transaction over HTTP (PS3.18 10.6): six resources, one answer.

    /studies        /studies/{study}/series       /studies/{study}/series/{series}/instances
    /series         /studies/{study}/instances
    /instances

200 also if nothing matches, with nothing in it; a study that is not there has no series. A page
that is not the last one has a `Link` to the next, and says how many results are left.
"""

from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.dicom.attributes import Level
from app.dicom.mediatypes import ATTRIBUTES_OFFERS, DICOM_JSON, DICOM_XML, JSON, acceptable, choose
from app.dicom.uids import valid_uid
from app.errors import BadRequest, NotAcceptable
from app.index.restriction import Action
from app.search.paging import link_to_next
from app.search.params import read_query_string
from app.search.response import as_json, as_xml
from app.search.service import Results, search_for
from app.web.dependencies import DICOMWEB, ArchiveOf, BaseUrl, Reader
from app.web.multipart import Writer
from app.web.plain_route import PlainRoute
from app.web.responses import dicom_json, warning

_RESULTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A page of results; of all of them, X-Total-Count says how many",
        "content": {
            DICOM_JSON: {},
            JSON: {},
            f'multipart/related; type="{DICOM_XML}"': {},
        },
    }
}

router = APIRouter(prefix=DICOMWEB, tags=["Search"], route_class=PlainRoute)


@router.get("/studies", responses=_RESULTS)
async def search_for_studies(
    request: Request, caller: Reader, archive: ArchiveOf, base: BaseUrl
) -> Response:
    """Studies, newest first."""
    return await _search(request, caller, archive, base, Level.STUDY)


@router.get("/series", responses=_RESULTS)
async def search_for_series(
    request: Request, caller: Reader, archive: ArchiveOf, base: BaseUrl
) -> Response:
    """Series of any study, those of the newest study first."""
    return await _search(request, caller, archive, base, Level.SERIES)


@router.get("/instances", responses=_RESULTS)
async def search_for_instances(
    request: Request, caller: Reader, archive: ArchiveOf, base: BaseUrl
) -> Response:
    """Instances of any study, those of the newest study first."""
    return await _search(request, caller, archive, base, Level.INSTANCE)


@router.get("/studies/{study}/series", responses=_RESULTS)
async def search_for_series_of_study(
    request: Request, caller: Reader, archive: ArchiveOf, base: BaseUrl, study: str
) -> Response:
    """Series of one study, by their numbers."""
    return await _search(request, caller, archive, base, Level.SERIES, study)


@router.get("/studies/{study}/instances", responses=_RESULTS)
async def search_for_instances_of_study(
    request: Request, caller: Reader, archive: ArchiveOf, base: BaseUrl, study: str
) -> Response:
    """Instances of one study, by the numbers of their series and their own."""
    return await _search(request, caller, archive, base, Level.INSTANCE, study)


@router.get("/studies/{study}/series/{series}/instances", responses=_RESULTS)
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
    accept = ",".join(request.headers.getlist("accept"))
    offer = choose(acceptable(request.query_params.getlist("accept"), accept), ATTRIBUTES_OFFERS)
    if offer is None:
        raise NotAcceptable(
            'Results are sent as application/dicom+json, or multipart/related; type="application/'
            'dicom+xml".'
        )
    asked = read_query_string(
        request.scope["query_string"],
        level,
        limits=archive.settings.limits,
        study_instance_uid=_uid(study),
        series_instance_uid=_uid(series),
    )
    media_type, written = offer.media_type, as_json
    if media_type == DICOM_XML:
        writer = Writer(DICOM_XML)
        media_type, written = writer.content_type, partial(as_xml, writer)
    visibility = caller.visibility_for(Action.SEARCH)
    found = await search_for(archive, visibility, asked.query, base, written)
    warnings = list(asked.warnings)
    if found.remaining:
        number = str(found.remaining) if found.counted else f"at least {found.remaining}"
        warnings.append(f"There are {number} additional results that can be requested")
    if found.left_out:
        warnings.append(
            f"Of {found.left_out} results only the usual attributes are returned. Their metadata"
            " has the others."
        )
    if found.passed_over:
        warnings.append(
            f"{found.passed_over} instances were passed over: their metadata is too long to be"
            " searched."
        )
    return await dicom_json(
        request,
        found.body,
        media_type=media_type,
        warnings=[warning(base, text) for text in warnings],
        headers=_where_it_stands(request, base, found),
    )


def _where_it_stands(request: Request, base: str, found: Results) -> dict[str, str]:
    """Headers that tell how many results there are, and where the next page is."""
    headers = {}
    if found.total is not None:
        headers["X-Total-Count"] = str(found.total)
    if found.end is not None:
        url = base + request.url.path.removeprefix(DICOMWEB)
        link = link_to_next(url, request.scope["query_string"], found.end, found.before_end)
        if link is not None:
            headers["Link"] = link
    return headers


def _uid(value: str | None) -> str | None:
    if value is not None and not valid_uid(value):
        raise BadRequest(f"{value[:128]!r} in the path is no UID.")
    return value
