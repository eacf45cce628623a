"""Search: one SELECT for a page of what matches a query, and a count when there is more.

Where few match, of which no index tells the order, the one SELECT counts them too.

plan        which keys the database decides, and by what
matching    ... by columns
by_terms    ... by the index of terms
looking     what the database cannot decide
ordering    the order of results, and places in it
statements  the SQL made of these
patients    studies grouped by whose they are
values      what goes in and what comes out
"""

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

import asyncpg

from app.dicom.attributes import Level
from app.dicom.query import Query
from app.errors import TooLarge
from app.index.planning import planned
from app.index.search import statements
from app.index.search.looking import look_through
from app.index.search.ordering import ORDERING
from app.index.search.patients import (
    FoundPatient,
    PatientKey,
    PatientsPage,
    body_parts,
    known_patients,
    search_for_patients,
)
from app.index.search.plan import Plan, has_terms, is_indexed, leaves_little, plan_of
from app.index.search.statements import Shape
from app.index.search.values import (
    Found,
    FoundInstance,
    FoundSeries,
    FoundStudy,
    Page,
    Wanted,
)
from app.index.statements import Connection
from app.index.totals import LARGE, Totals
from app.index.visibility import Visibility

__all__ = [
    "ORDERING",
    "Found",
    "FoundInstance",
    "FoundPatient",
    "FoundSeries",
    "FoundStudy",
    "HasToLook",
    "Page",
    "PatientKey",
    "PatientsPage",
    "Wanted",
    "body_parts",
    "known_patients",
    "may_be_few",
    "search",
    "search_for_patients",
]

FEW = 5_000
"""Matches that are all read for each page; of more, an index gives the order, and the total is
remembered."""


REACHES = (128, 1024)
"""How far into everything most searches look: plans are kept for these."""


class HasToLook(Exception):
    """The database cannot decide what matches: candidates have to be looked through."""


async def search(
    connection: Connection,
    visibility: Visibility,
    query: Query,
    wanted: Wanted,
    totals: Totals,
    *,
    may_look: bool = True,
) -> Page:
    """The matches that may be seen.

    Raises `HasToLook` if candidates would have to be looked through and may not be; `TooLarge` if
    it takes longer than a statement may, or if more would have to be looked through than one search
    may; `BadRequest` if a key cannot be matched in what lies below;
    `InvalidParameter` if the query goes on from what is no place in its order.
    """
    try:
        if has_terms(query):
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                plan = await plan_of(connection, visibility, query)
                if plan.looked_at:
                    if not may_look:
                        raise HasToLook
                    return await look_through(connection, visibility, wanted, plan)
                return await _page(connection, visibility, wanted, plan, totals)
        return await _by_columns(connection, visibility, wanted, query, totals)
    except asyncpg.QueryCanceledError as error:
        raise TooLarge("The search takes too long: narrow it down by more keys.") from error


class _HasFurther(Exception):
    """The partition has further values, which the plan has presumed that it has not."""


async def _by_columns(
    connection: Connection, visibility: Visibility, wanted: Wanted, query: Query, totals: Totals
) -> Page:
    """The page of a query that columns decide."""
    further = "further values", visibility.partition_id
    presuming = not totals.exceed(further, 0)
    plan = await plan_of(connection, visibility, query, presuming=presuming)
    page = None
    try:
        page = await _page(connection, visibility, wanted, plan, totals)
    except _HasFurther:
        totals.note(further, 1)
    if page is not None and (page.found or not plan.presumes):
        return page
    # Where nothing is found, no row has told whether there are further values.
    certain = await plan_of(connection, visibility, query)
    if page is not None and certain.forms == plan.forms:
        return page
    return await _page(connection, visibility, wanted, certain, totals)


async def _page(
    connection: Connection,
    visibility: Visibility,
    wanted: Wanted,
    plan: Plan,
    totals: Totals,
) -> Page:
    query, shape = plan.query, plan.shape(wanted)
    kept = has_terms(query) or leaves_little(query)
    if may_be_few(plan) and not totals.exceed(_asked(visibility, query), FEW):
        async with planned(connection, kept=kept or is_indexed(query)):
            page = await _page_of_few(connection, visibility, plan, shape)
        if page is not None:
            return page
    rows = await _rows(connection, visibility, plan, shape, kept=kept)
    _check(shape, rows)
    if len(rows) <= query.limit:
        return _filled(query, shape, rows, 0)
    latest = rows[0][statements.LATEST_CHANGE]
    total = await _total(connection, visibility, plan, shape, totals, latest, kept=kept)
    # A large total may be behind what the page shows.
    return _filled(query, shape, rows, max(1, total - query.offset - query.limit))


async def _rows(
    connection: Connection, visibility: Visibility, plan: Plan, shape: Shape, *, kept: bool
) -> Sequence[Any]:
    """Those of the page, and one more if there is one."""
    query = plan.query
    values = {**plan.values, **visibility.parameters}
    limits = {"limit": query.limit + 1, "offset": query.offset}
    if shape.is_of_first_studies:
        most = query.offset + query.limit + 2
        async with planned(connection, kept=kept):
            found = await statements.first_studies(shape).fetch(connection, **values, most=most)
        # Whatever the studies are, one plan is right for what is in them.
        rows = await statements.page_of_studies(shape).fetch(
            connection, **values, **limits, studies=[study["id"] for study in found]
        )
        # Others are read only where studies say of themselves what is not true of what is in them.
        if len(rows) > query.limit or len(found) < most:
            return rows
    reach = next((rows for rows in REACHES if sum(limits.values()) <= rows), None)
    async with planned(connection, kept=kept):
        page = statements.page(shape, reach if shape.is_of_everything else None)
        return await page.fetch(connection, **values, **limits)


def may_be_few(plan: Plan) -> bool:
    """Whether a page is made by reading all that match, as long as these are few.

    Not of a modality of series: to read them again is dear, and its total is soon remembered.
    """
    query = plan.query
    return (
        query.level is not Level.INSTANCE
        and not leaves_little(query)
        and not plan.hints
        and query.offset + query.limit < FEW
    )


async def _page_of_few(
    connection: Connection, visibility: Visibility, plan: Plan, shape: Shape
) -> Page | None:
    """The page, unless more than a few match."""
    query = plan.query
    values = {**plan.values, **visibility.parameters}
    rows = await statements.page_of_few(shape).fetch(
        connection, **values, most=FEW + 1, limit=query.limit + 1, offset=query.offset
    )
    _check(shape, rows)
    matches = rows[0][statements.MATCHES] if rows else 0
    if matches > FEW:
        return None
    return _filled(query, shape, rows, max(0, matches - query.offset - query.limit))


def _check(shape: Shape, rows: Sequence[Any]) -> None:
    if shape.presumes and rows and rows[0][statements.FURTHER]:
        raise _HasFurther


def _filled(query: Query, shape: Shape, rows: Sequence[Any], remaining: int) -> Page:
    """The page that the rows are; there may be one more of them than the query has a limit of."""
    read = statements.reader(shape)
    found = [read(row) for row in rows[: query.limit]]
    if not found or not remaining:
        return Page(found, remaining)
    return Page(found, remaining, end=tuple(rows[query.limit - 1])[-len(shape.order) :])


async def _total(
    connection: Connection,
    visibility: Visibility,
    plan: Plan,
    shape: Shape,
    totals: Totals,
    latest: int,
    *,
    kept: bool,
) -> int:
    """How many match from the beginning or the place on.

    Of many that are left, it is enough to know how many match in all, which is remembered.
    """
    query = plan.query
    values = {**plan.values, **visibility.parameters}
    whole = statements.total(replace(shape, goes_on=False))
    asked = _asked(visibility, query)
    counted = await totals.of(asked, latest, whole, connection, kept=kept, **values)
    left = counted - query.before
    if query.after is None or left >= LARGE:
        return left
    async with planned(connection, kept=kept):
        return int(await statements.total(shape).fetchval(connection, **values))


def _asked(visibility: Visibility, query: Query) -> Hashable:
    """Everything that decides about the total of a search."""
    return (
        visibility,
        query.level,
        query.keys,
        query.study_instance_uid,
        query.series_instance_uid,
    )
