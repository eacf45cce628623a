"""Search: one SELECT for a page of what matches a query, and a count when there is more.

matching    the keys, as conditions over columns
ordering    the order of results, and places in it
statements  the SQL made of these
values      what goes in and what comes out
"""

from typing import Any

import asyncpg

from app.dicom.attributes import ATTRIBUTES, Level
from app.dicom.query import Query
from app.errors import TooLarge
from app.index.search import statements
from app.index.search.matching import Form, take_apart
from app.index.search.ordering import ORDERING, checked, order_of
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
from app.index.totals import Totals
from app.index.visibility import Visibility

__all__ = [
    "ORDERING",
    "Found",
    "FoundInstance",
    "FoundSeries",
    "FoundStudy",
    "Page",
    "Wanted",
    "search",
]


async def search(
    connection: Connection, visibility: Visibility, query: Query, wanted: Wanted, totals: Totals
) -> Page:
    """The matches that may be seen. Every key's attribute must have a column.

    Raises `TooLarge` if it takes longer than a statement may, `InvalidParameter` if the query goes
    on from what is no place in its order.
    """
    shape, values = _take_apart(query, wanted)
    values |= visibility.parameters
    try:
        return await _page(connection, visibility, query, shape, values, totals)
    except asyncpg.QueryCanceledError as error:
        raise TooLarge("The search takes too long: narrow it down by more keys.") from error


async def _page(
    connection: Connection,
    visibility: Visibility,
    query: Query,
    shape: Shape,
    values: dict[str, Any],
    totals: Totals,
) -> Page:
    rows = await statements.page(shape).fetch(
        connection, **values, limit=query.limit + 1, offset=query.offset
    )
    read = statements.reader(shape)
    found = [read(row) for row in rows[: query.limit]]
    if len(rows) <= query.limit:
        return Page(found)
    counted = visibility, query.keys, query.study_instance_uid, query.series_instance_uid
    total = await totals.of(
        (query.level, *counted, query.order if query.after else (), query.after),
        rows[0][statements.LATEST_CHANGE],
        statements.total(shape),
        connection,
        **values,
    )
    remaining = max(0, total - query.offset - query.limit)
    if not found:
        return Page(found, remaining)
    return Page(found, remaining, tuple(rows[query.limit - 1])[-len(shape.order) :])


def _take_apart(query: Query, wanted: Wanted) -> tuple[Shape, dict[str, Any]]:
    forms: list[tuple[Level, Form]] = []
    values: list[Any] = []
    for key in sorted(query.keys, key=lambda key: key.tag):
        form, given = take_apart(key)
        forms.append((ATTRIBUTES[key.tag].level, form))
        values += given
    named = {f"v{number}": value for number, value in enumerate(values)}
    study, series, order = query.study_instance_uid, query.series_instance_uid, order_of(query)
    if study is not None:
        named["study"] = study
    if series is not None:
        named["series"] = series
    if query.after is not None:
        place = checked(query.after, order)
        named |= {f"p{number}": value for number, value in enumerate(place)}
    return (
        Shape(
            query.level,
            wanted,
            study is not None,
            series is not None,
            tuple(forms),
            order,
            query.after is not None,
        ),
        named,
    )
