"""Looking through candidates: their DICOM JSON decides what the database cannot.

Rules:
- Candidates come in the order of the search, so that what is found is a page of it.
- Looking costs: there are bounds to it, beyond which a search is refused instead of answered late
  or wrongly, and it happens in a thread, so that nobody else waits.
- An instance whose JSON is very long is passed over, and it is said so.
- Who has a full page learns how many more there are only if that is soon known.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from app.dicom.attributes import Level
from app.dicom.jsonmodel import unpack_short
from app.dicom.matcher import fits
from app.dicom.query import Key
from app.errors import TooLarge
from app.index.search import statements
from app.index.search.ordering import Place
from app.index.search.plan import Plan
from app.index.search.values import Found, Page, Wanted
from app.index.statements import Connection
from app.index.visibility import Visibility

MOST = 10_000
"""Candidates that are looked at for one search."""
MOST_FOR_COUNTING = 200
"""... if the page is full before."""
MOST_PACKED_BYTES = 64 * 1024 * 1024
"""Packed JSON that is read for one search."""
MOST_SECONDS = 20
"""That one search may take; a transaction does not idle much longer."""
AT_ONCE = 200
LONGEST_JSON = 2 * 1024 * 1024
"""Bytes: as objects it takes ten times as much memory."""


async def look_through(
    connection: Connection, visibility: Visibility, wanted: Wanted, plan: Plan
) -> Page:
    """A page of those candidates that match. Raises `TooLarge` if that is too much to look at.

    The connection is in a transaction.
    """
    query = plan.query
    read = replace(
        wanted,
        levels=wanted.levels.union(plan.looked_at),
        metadata=wanted.metadata or Level.INSTANCE in plan.looked_at,
    )
    shape = plan.shape(read)
    values = {**plan.values, **visibility.parameters, "limit": MOST + 1, "offset": 0}
    made = statements.reader(shape)
    looked, size, matches, end = 0, 0, 0, query.offset + query.limit
    passed_over, until = 0, time.monotonic() + MOST_SECONDS
    found: list[Found] = []
    place: Place | None = None
    async for rows in statements.page(shape).portions(connection, AT_ONCE, **values):
        candidates = [made(row) for row in rows]
        fitting, too_long = await asyncio.to_thread(_fitting, candidates, plan.looked_at, until)
        passed_over += too_long
        for number in fitting:
            if query.offset <= matches < end:
                found.append(candidates[number])
                place = tuple(rows[number])[-len(shape.order) :]
            matches += 1
        looked += len(candidates)
        size += sum(map(_packed_bytes, candidates))
        enough = looked >= MOST_FOR_COUNTING if matches > end else False
        if enough or looked > MOST or size > MOST_PACKED_BYTES:
            if matches <= end:
                raise _too_many(looked)
            return Page(found, matches - end, counted=False, passed_over=passed_over, end=place)
    remaining = max(0, matches - end)
    return Page(found, remaining, passed_over=passed_over, end=place if remaining else None)


def _too_many(looked: int) -> TooLarge:
    return TooLarge(f"More than {looked} would have to be looked at one by one: {_NARROW}")


_NARROW = (
    "narrow the search down by keys that are matched whole, or by the patient, the study or its"
    " date."
)


def _fitting(
    candidates: Sequence[Found], keys: Mapping[Level, Sequence[Key]], until: float
) -> tuple[list[int], int]:
    """The numbers of those that match, and how many have JSON that is too long to tell.

    Raises `TooLarge` if it is not done `until` then.
    """
    fitting: list[int] = []
    too_long = 0
    for number, candidate in enumerate(candidates):
        if time.monotonic() > until:
            raise TooLarge(f"To look at each one takes too long: {_NARROW}")
        data_sets = {level: _JSON[level](candidate) for level in keys}
        if None in data_sets.values():
            too_long += 1
        elif all(fits(of_level, data_sets[level]) for level, of_level in keys.items()):
            fitting.append(number)
    return fitting, too_long


def _packed_bytes(found: Found) -> int:
    return len(found.instance.metadata_json or b"") if found.instance else 0


def _of_study(found: Found) -> Any:
    assert found.study is not None
    return orjson.loads(found.study.attributes)


def _of_series(found: Found) -> Any:
    assert found.series is not None
    return orjson.loads(found.series.attributes)


def _of_instance(found: Found) -> Any:
    assert found.instance is not None
    packed = found.instance.metadata_json
    json = None if packed is None else unpack_short(packed, LONGEST_JSON)
    return None if json is None else orjson.loads(json)


_JSON: dict[Level, Callable[[Found], Any]] = {
    Level.STUDY: _of_study,
    Level.SERIES: _of_series,
    Level.INSTANCE: _of_instance,
}
