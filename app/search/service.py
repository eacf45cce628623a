"""The Search transaction: a query in, a page of results out. No HTTP here."""

from dataclasses import dataclass

from app.archive import Archive
from app.dicom.query import Query
from app.index.search import search
from app.index.visibility import Visibility
from app.search.response import results, selection


@dataclass(frozen=True, slots=True)
class Results:
    """A page of results as a DICOM JSON array, and how many more can be had after it."""

    body: bytes
    remaining: int


async def search_for(archive: Archive, visibility: Visibility, query: Query, base: str) -> Results:
    """What matches the query and may be seen; `base` is the URL that RetrieveURLs begin with.

    Raises `TooLarge` if the search takes too long.
    """
    selected = selection(query)
    async with archive.reading() as connection:
        page = await search(connection, visibility, query, selected.wanted, archive.totals)
    return Results(results(page.found, selected, base), page.remaining)
