"""The patient's view: patients, their timelines, and the priors of a study. No HTTP here."""

from collections.abc import Sequence
from dataclasses import replace

import orjson

from app.archive import Archive
from app.dicom import normal
from app.dicom.attributes import Level, level_of
from app.dicom.dictionary import keyword_of
from app.dicom.query import Between, Empty, Key, OneOf, Query
from app.errors import BadRequest, InvalidParameter, NotFound
from app.index.search import Found, FoundPatient, Page, Wanted, body_parts, search
from app.index.search import search_for_patients as found_patients
from app.index.visibility import Visibility
from app.search.patient_counts import counts_of, first_text
from app.search.response import Json, results, selection, written
from app.search.service import Results
from app.web.multipart import Writer

PATIENT_ID, ISSUER_OF_PATIENT_ID = "00100020", "00100021"
STUDY_DATE, STUDY_TIME, STUDY_INSTANCE_UID = "00080020", "00080030", "0020000D"
MOST_PRIORS = 1000
"""Studies of one patient, the newest ones, that are compared with a study."""

_RETURNED = {
    "00100010": "PN",
    "00100020": "LO",
    "00100030": "DA",
    "00100040": "CS",
}


async def patients(
    archive: Archive, visibility: Visibility, query: Query, xml: Writer | None
) -> Results:
    """The patients with studies that match the query and may be seen."""
    if query.order:
        asked = ",".join(f"{'-' * by.descending}{keyword_of(by.tag)}" for by in query.order)
        raise InvalidParameter("orderby", asked, "patients are ordered by their IDs")
    async with archive.snapshot() as connection:
        page = await found_patients(connection, visibility, query, archive.totals)
    made = [_patient(found, query) for found in page.found]
    before_end = query.before + query.offset + len(made)
    total = None
    if query.after is None and (made or not query.offset):
        total = before_end + page.remaining
    shown = {(found.patient_id, found.issuer_of_patient_id) for found in page.found}
    return Results(
        body=written(made, xml),
        remaining=page.remaining,
        end=page.end,
        before_end=before_end,
        total=total,
        patients=shown,
    )


def _patient(found: FoundPatient, query: Query) -> Json:
    known: Json = orjson.loads(found.attributes)
    wanted = {tag for tag in query.included if level_of(tag) is Level.STUDY}
    result: Json = {tag: {"vr": vr} for tag, vr in _RETURNED.items()}
    result |= {
        tag: element
        for tag, element in known.items()
        if tag.startswith("0010")
        and (tag in _RETURNED or tag == ISSUER_OF_PATIENT_ID or tag in wanted or query.everything)
    }
    return result | counts_of(found)


def studies_of_patient(query: Query, patient_id: str) -> Query:
    """The query, of one patient alone. Raises `BadRequest`."""
    form = normal.text(patient_id)
    if form is None:
        raise BadRequest("The path has no Patient ID.")
    return replace(query, keys=(*query.keys, Key(PATIENT_ID, OneOf((form,)))))


async def priors(
    archive: Archive,
    visibility: Visibility,
    study_instance_uid: str,
    query: Query,
    base: str,
    xml: Writer | None,
) -> Results:
    """The earlier studies of the same patient that match: most alike first, then newest first.

    Raises `NotFound` if there is no such study.
    """
    if query.order or query.after is not None:
        raise BadRequest("Priors have an order of their own, and are paged by limit and offset.")
    wanted = selection(query)
    itself = Query(Level.STUDY, (Key(STUDY_INSTANCE_UID, OneOf((study_instance_uid,))),), limit=1)
    async with archive.snapshot() as connection:
        page = await search(
            connection, visibility, itself, Wanted(frozenset({Level.STUDY})), archive.totals
        )
        if not page.found:
            raise NotFound
        study = page.found[0]
        keys = _earlier(study)
        earlier = Page([])
        if keys is not None:
            earlier = await search(
                connection,
                visibility,
                replace(query, keys=(*query.keys, *keys), limit=MOST_PRIORS, offset=0),
                Wanted(wanted.wanted.levels | {Level.STUDY}),
                archive.totals,
            )
        found = [each for each in earlier.found if each.study_instance_uid != study_instance_uid]
        uids = [study_instance_uid, *(each.study_instance_uid for each in found)]
        parts = await body_parts(connection, visibility, uids)
    found = _most_alike_first(study, found, parts)
    shown = found[query.offset :][: query.limit]
    made, left_out = results(shown, wanted, base)
    return Results(
        body=written(made, xml),
        remaining=max(0, len(found) - query.offset - len(shown)),
        before_end=query.offset + len(shown),
        total=len(found),
        left_out=left_out,
    )


def _earlier(study: Found) -> tuple[Key, ...] | None:
    """The keys of what is the same patient's and not later; None if nobody knows whose it is."""
    assert study.study is not None
    known: Json = orjson.loads(study.study.attributes)
    patient_id = first_text(known, PATIENT_ID)
    if patient_id is None:
        return None
    issuer = first_text(known, ISSUER_OF_PATIENT_ID)
    keys = [
        Key(PATIENT_ID, OneOf((patient_id,))),
        Key(ISSUER_OF_PATIENT_ID, OneOf((issuer,)) if issuer else Empty()),
    ]
    day = normal.date(str(first_text(known, STUDY_DATE) or ""))
    return (*keys, Key(STUDY_DATE, Between(None, day))) if day else tuple(keys)


def _most_alike_first(
    study: Found, found: Sequence[Found], parts: dict[str, set[str]]
) -> list[Found]:
    """Newest first they are already."""
    assert study.study is not None
    own_parts = parts.get(study.study_instance_uid, set())
    modalities = set(study.study.modalities) - _NO_IMAGES

    def unlike(other: Found) -> int:
        assert other.study is not None
        same_part = bool(own_parts & parts.get(other.study_instance_uid, set()))
        same_modality = bool(modalities & set(other.study.modalities))
        return -2 * same_part - same_modality

    return sorted(found, key=unlike)


_NO_IMAGES = frozenset({"SR", "PR", "KO", "DOC", "SEG", "REG", "RTSTRUCT", "OT"})
"""Modalities that go with any other: to share them makes no studies alike."""
