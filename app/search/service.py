"""The Search transaction: a query in, a page of results out. No HTTP here."""

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from app.archive import Archive
from app.dicom.attributes import Level
from app.dicom.query import Query
from app.index.search import Found, HasToLook, Page, PatientKey, Wanted, known_patients, search
from app.index.visibility import Visibility
from app.search.patient_counts import counts_of, patient_keys, wanted_counts
from app.search.response import Json, found_as_json, results, selection, written
from app.web.multipart import Writer

IN_THREAD_FROM = 250
"""Results whose making would hold up others for long."""
WHOLE_IN_THREAD_FROM = 20
"""Those of which much is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """A page of results, and where it stands among all of them."""

    body: bytes
    remaining: int
    """How many more can be had after it, or at least so many if not `counted`."""
    before_end: int
    """How many there are up to the end of this page, with those of the pages before."""
    total: int | None
    """How many match, if that is known."""
    counted: bool = True
    end: tuple[str | int, ...] | None = None
    """The place after which the next page begins, if there is one to go on from."""
    left_out: int = 0
    """Of how many only the usual attributes are returned, since they have too many."""
    passed_over: int = 0
    """How many were not looked at, since their metadata is too long."""
    patients: Collection[PatientKey] = ()
    """Whose they are, if nothing in the URL says whose."""


async def search_for(
    archive: Archive,
    visibility: Visibility,
    query: Query,
    base: str,
    xml: Writer | None,
) -> Results:
    """What matches the query and may be seen.

    `base` is the URL that RetrieveURLs begin with; with `xml` the body is XML, written by that.
    Raises `TooLarge` if the search takes too long or its results are, `InvalidParameter` if it
    goes on from nowhere, `TooBusy` if too many others look through metadata.
    """
    selected = selection(query)
    page = await _page(archive, visibility, query, selected.wanted)
    counted = await _patient_counts(archive, visibility, query, page)

    def made() -> tuple[bytes, int]:
        if xml is None and query.level is not Level.INSTANCE and not counted:
            return found_as_json(page.found, selected, base), 0
        found, left_out = results(page.found, selected, base)
        for result, counts in zip(found, counted, strict=False):
            result.update(counts)
        return written(found, xml), left_out

    whole = xml is not None or selected.wanted.metadata
    most = WHOLE_IN_THREAD_FROM if whole else IN_THREAD_FROM
    body, left_out = made() if len(page.found) < most else await asyncio.to_thread(made)
    return Results(
        body=body,
        remaining=page.remaining,
        counted=page.counted,
        end=page.end,
        before_end=query.before + query.offset + len(page.found),
        total=_total(query, page),
        left_out=left_out,
        passed_over=page.passed_over,
        patients=patients_of(page.found),
    )


def patients_of(found: Iterable[Found]) -> set[PatientKey]:
    """Whose the studies are of which something was found and read."""
    return {
        (match.study.patient_id, match.study.issuer_of_patient_id or "")
        for match in found
        if match.study is not None and match.study.patient_id is not None
    }


async def _page(archive: Archive, visibility: Visibility, query: Query, wanted: Wanted) -> Page:
    """The matches. Who has to look waits for a turn, and meanwhile keeps no connection."""
    asked = visibility, query, wanted, archive.totals
    try:
        async with archive.reading() as connection:
            return await search(connection, *asked, may_look=False)
    except HasToLook:
        async with archive.looking.turn(), archive.reading() as connection:
            return await search(connection, *asked)


async def _patient_counts(
    archive: Archive, visibility: Visibility, query: Query, page: Page
) -> list[Json]:
    """The counts of the patient of each match; nothing if none are to be returned."""
    wanted = wanted_counts(query)
    keys = patient_keys(page.found) if wanted else []
    ids = {key[0] for key in keys if key is not None}
    if not ids:
        return []
    async with archive.reading() as connection:
        known = await known_patients(connection, visibility, ids)
    return [counts_of(known[key], wanted) if key in known else {} for key in keys]


def _total(query: Query, page: Page) -> int | None:
    if (
        not page.counted
        or query.after is not None
        or (query.offset and not page.found and not page.remaining)
    ):
        return None
    return query.offset + len(page.found) + page.remaining
