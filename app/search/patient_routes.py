"""The patient's view, which the standard does not have: who there is, and what is known of them.

/patients                        patients, by their IDs
/patients/{patient}/studies      all studies of a patient, newest first: the timeline
/studies/{study}/priors          earlier studies of the same patient, those most alike first
"""

from fastapi import APIRouter
from starlette.responses import Response

from app.dicom.attributes import Level
from app.search.answering import RESULTS, Asked, answer, uid_in_path
from app.search.params import read_query_string
from app.search.patients import patients, priors, studies_of_patient
from app.search.service import search_for
from app.web.dependencies import DICOMWEB
from app.web.plain_route import PlainRoute

router = APIRouter(prefix=DICOMWEB, tags=["Search"], route_class=PlainRoute)


@router.get("/patients", responses=RESULTS)
async def search_for_patients(asked: Asked) -> Response:
    """Patients of whom a study matches, by their IDs, with the counts of all their studies."""
    wanted = read_query_string(
        asked.query_string, Level.STUDY, limits=asked.archive.settings.limits
    )
    found = await patients(asked.archive, asked.visibility, wanted.query, asked.xml)
    return await answer(asked, found, wanted.warnings)


@router.get("/patients/{patient:path}/studies", responses=RESULTS)
async def search_for_studies_of_patient(asked: Asked, patient: str) -> Response:
    """Studies of one patient, newest first."""
    wanted = read_query_string(
        asked.query_string, Level.STUDY, limits=asked.archive.settings.limits
    )
    query = studies_of_patient(wanted.query, patient)
    found = await search_for(asked.archive, asked.visibility, query, asked.base, asked.xml)
    return await answer(asked, found, wanted.warnings)


@router.get("/studies/{study}/priors", responses=RESULTS)
async def search_for_priors(asked: Asked, study: str) -> Response:
    """Earlier studies of the patient: of the same body part and modality first, then newest first.

    Keys narrow them down.
    """
    wanted = read_query_string(
        asked.query_string, Level.STUDY, limits=asked.archive.settings.limits
    )
    found = await priors(
        asked.archive,
        asked.visibility,
        uid_in_path(study),
        wanted.query,
        asked.base,
        asked.xml,
    )
    return await answer(asked, found, wanted.warnings)
