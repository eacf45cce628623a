"""Patients: studies grouped by Patient ID and its issuer, in the order of these.

Patients have no table: their studies are what is known of them, and the newest describes them. A
study without a Patient ID is nobody's. A patient is found if one of its studies is, and is told
with all of them that may be seen.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import asyncpg
from sqlalchemy import BigInteger, ColumnElement, bindparam, distinct, func, literal_column, tuple_
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.types import Text

from app.dicom.query import Query
from app.errors import BadRequest, InvalidParameter, TooLarge
from app.index.search.ordering import Place
from app.index.search.plan import Plan, has_terms, plan_of
from app.index.search.statements import Shape, studies
from app.index.search.values import Wanted
from app.index.statements import Connection, Prepared, any_of, prepare, table
from app.index.tables import Series, Study
from app.index.totals import LATEST, OLDEST, Totals
from app.index.visibility import Visibility, visible

_STUDY, _SERIES = table(Study).c, table(Series).c
_SHAPES = 64
_NOTHING = Wanted(frozenset())

PatientKey = tuple[str, str]
"""Patient ID and its issuer, which is empty if it is not known."""


@dataclass(frozen=True, slots=True)
class FoundPatient:
    """What is known of a patient; `attributes` is the DICOM JSON of the newest study."""

    patient_id: str
    issuer_of_patient_id: str
    attributes: bytes
    number_of_studies: int
    number_of_series: int
    number_of_instances: int


@dataclass(frozen=True, slots=True)
class PatientsPage:
    """Patients from a place on, up to a limit, how many come after them, and from where on."""

    found: list[FoundPatient]
    remaining: int = 0
    end: Place | None = None


_ISSUER: ColumnElement[str] = func.coalesce(_STUDY.issuer_of_patient_id, literal_column("''"))
_KEY = tuple_(_STUDY.patient_id, _ISSUER)
_NEWEST_FIRST = (
    func.coalesce(_STUDY.study_date, literal_column("''")).desc(),
    func.coalesce(_STUDY.study_time, literal_column("''")).desc(),
    _STUDY.study_instance_uid.desc(),
)


def _matching(shape: Shape, columns: Sequence[ColumnElement[Any]], *, goes_on: bool) -> Any:
    statement = studies(shape, columns).where(_STUDY.patient_id.is_not(None))
    if goes_on:
        place = tuple_(*(bindparam(name, type_=Text()) for name in ("after_id", "after_issuer")))
        statement = statement.where(place < _KEY)
    return statement


@lru_cache(_SHAPES)
def _page(shape: Shape, goes_on: bool) -> Prepared:
    return prepare(
        _matching(shape, [_STUDY.patient_id, _ISSUER, LATEST], goes_on=goes_on)
        .group_by(_STUDY.patient_id, _ISSUER)
        .order_by(_STUDY.patient_id, _ISSUER)
        .limit(bindparam("limit", type_=BigInteger()))
        .offset(bindparam("offset", type_=BigInteger()))
    )


@lru_cache(_SHAPES)
def _total(shape: Shape, goes_on: bool) -> Prepared:
    return prepare(_matching(shape, [func.count(distinct(_KEY)), OLDEST], goes_on=goes_on))


_KNOWN = prepare(
    studies(
        Shape.of_all_studies(),
        [
            _STUDY.patient_id,
            _ISSUER.label("issuer"),
            func.array_agg(aggregate_order_by(_STUDY.attributes, *_NEWEST_FIRST))[1],
            func.count(),
            func.sum(_STUDY.number_of_series),
            func.sum(_STUDY.number_of_instances),
        ],
    )
    .where(_STUDY.patient_id == any_of("patient_ids", Text()))
    .group_by(_STUDY.patient_id, _ISSUER)
)


async def known_patients(
    connection: Connection, visibility: Visibility, patient_ids: Collection[str]
) -> dict[PatientKey, FoundPatient]:
    """What is known of the patients with these IDs, by whomever they were issued."""
    rows = await _KNOWN.fetch(
        connection, **visibility.parameters, patient_ids=sorted(set(patient_ids))
    )
    return {(row[0], row[1]): FoundPatient(*row) for row in rows}


async def search_for_patients(
    connection: Connection, visibility: Visibility, query: Query, totals: Totals
) -> PatientsPage:
    """The patients with studies that match and may be seen.

    Raises `TooLarge` if it takes longer than a statement may, `BadRequest` if a key could only be
    decided by looking at studies one by one.
    """
    try:
        # The place is one in the order of patients, not of studies.
        of_studies = replace(query, after=None)
        if not has_terms(query):
            plan = await plan_of(connection, visibility, of_studies)
            return await _found(connection, visibility, query, plan, totals)
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            plan = await plan_of(connection, visibility, of_studies)
            return await _found(connection, visibility, query, plan, None)
    except asyncpg.QueryCanceledError as error:
        raise TooLarge("The search takes too long: narrow it down by more keys.") from error


async def _found(
    connection: Connection,
    visibility: Visibility,
    query: Query,
    plan: Plan,
    totals: Totals | None,
) -> PatientsPage:
    shape, goes_on = plan.shape(_NOTHING), query.after is not None
    if plan.looked_at:
        raise BadRequest("Patients are found by whole values, or by attributes with a column.")
    values = {**plan.values, **visibility.parameters, **_place(query.after)}
    page = {"limit": query.limit + 1, "offset": query.offset}
    rows = await _page(shape, goes_on).fetch(connection, **values, **page)
    keys: list[PatientKey] = [(row[0], row[1]) for row in rows[: query.limit]]
    known = await known_patients(connection, visibility, [id_ for id_, _ in keys]) if keys else {}
    found = [known[key] for key in keys]
    if len(rows) <= query.limit:
        return PatientsPage(found)
    count = _total(shape, goes_on)
    if totals is None:
        total = int(await count.fetchval(connection, **values))
    else:
        asked = "patients", visibility, query.keys, query.after
        total = await totals.of(asked, rows[0][2], count, connection, **values)
    remaining = max(1, total - query.offset - len(found))
    return PatientsPage(found, remaining, keys[-1] if keys else None)


def _place(after: Place | None) -> dict[str, str]:
    if after is None:
        return {}
    if len(after) != 2 or not all(isinstance(value, str) for value in after):
        raise InvalidParameter("after", str(after), "it is no place in the order of patients")
    return {"after_id": str(after[0]), "after_issuer": str(after[1])}


_BODY_PARTS = prepare(
    studies(Shape.of_all_studies(), [_STUDY.study_instance_uid, _SERIES.body_part_examined])
    .join(table(Series), _SERIES.study_id == _STUDY.id)
    .where(
        visible(Series),
        _STUDY.study_instance_uid == any_of("uids", Text()),
        _SERIES.body_part_examined.is_not(None),
    )
    .distinct(),
)


async def body_parts(
    connection: Connection, visibility: Visibility, uids: Collection[str]
) -> dict[str, set[str]]:
    """The body parts that series of the studies show, by the UID of the study."""
    found: dict[str, set[str]] = {}
    for uid, part in await _BODY_PARTS.fetch(connection, **visibility.parameters, uids=list(uids)):
        found.setdefault(uid, set()).add(part)
    return found
