"""The Search transaction over HTTP (PS3.18 10.6): six resources, one answer.

    /studies        /studies/{study}/series       /studies/{study}/series/{series}/instances
    /series         /studies/{study}/instances
    /instances

200 also if nothing matches, with nothing in it; a study that is not there has no series. A page
that is not the last one has a `Link` to the next, and says how many results are left.
"""

from fastapi import APIRouter
from starlette.responses import Response

from app.dicom.attributes import Level
from app.search.answering import RESULTS, Ask, Asked, answer, uid_in_path
from app.search.params import read_query_string
from app.search.service import search_for
from app.web.dependencies import DICOMWEB
from app.web.plain_route import PlainRoute

router = APIRouter(prefix=DICOMWEB, tags=["Search"], route_class=PlainRoute)


@router.get("/studies", responses=RESULTS)
async def search_for_studies(asked: Asked) -> Response:
    """Studies, newest first."""
    return await _search(asked, Level.STUDY)


@router.get("/series", responses=RESULTS)
async def search_for_series(asked: Asked) -> Response:
    """Series of any study, those of the newest study first."""
    return await _search(asked, Level.SERIES)


@router.get("/instances", responses=RESULTS)
async def search_for_instances(asked: Asked) -> Response:
    """Instances of any study, those of the newest study first."""
    return await _search(asked, Level.INSTANCE)


@router.get("/studies/{study}/series", responses=RESULTS)
async def search_for_series_of_study(asked: Asked, study: str) -> Response:
    """Series of one study, by their numbers, with a link to the priors of the study."""
    uid = uid_in_path(study)
    priors = f'<{asked.base}/studies/{uid}/priors>; rel="related"; title="priors"'
    return await _search(asked, Level.SERIES, uid, links=(priors,))


@router.get("/studies/{study}/instances", responses=RESULTS)
async def search_for_instances_of_study(asked: Asked, study: str) -> Response:
    """Instances of one study, by the numbers of their series and their own."""
    return await _search(asked, Level.INSTANCE, uid_in_path(study))


@router.get("/studies/{study}/series/{series}/instances", responses=RESULTS)
async def search_for_instances_of_series(asked: Asked, study: str, series: str) -> Response:
    """Instances of one series, by their numbers."""
    return await _search(asked, Level.INSTANCE, uid_in_path(study), uid_in_path(series))


async def _search(
    asked: Ask,
    level: Level,
    study: str | None = None,
    series: str | None = None,
    links: tuple[str, ...] = (),
) -> Response:
    wanted = read_query_string(
        asked.query_string,
        level,
        limits=asked.archive.settings.limits,
        study_instance_uid=study,
        series_instance_uid=series,
    )
    found = await search_for(asked.archive, asked.visibility, wanted.query, asked.base, asked.xml)
    # Of what is not there nothing is told, nor of what the caller may not know to be there.
    there = found.before_end > wanted.query.before + wanted.query.offset
    return await answer(asked, found, wanted.warnings, links if there else ())
