"""Rows of which there must be one for each key, whoever makes it: read first, make what is missing.

To read first leaves no trace in a table, and is all that is needed most of the time. A row that
somebody else makes at the same moment is waited for by the database, and then read.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, TypeVar

Key = TypeVar("Key", bound=str | tuple[Any, ...])
Value = TypeVar("Value")


async def find_or_make(
    keys: Collection[Key],
    find: Callable[[Collection[Key]], Awaitable[Mapping[Key, Value]]],
    make: Callable[[Collection[Key]], Awaitable[Mapping[Key, Value]]],
) -> tuple[dict[Key, Value], dict[Key, Value]]:
    """What `find` found and what `make` made; together they have a value for every key.

    `make` is given keys in their order, so that all who make rows at once lock them in the same
    order, and leaves out those that are taken.
    """
    found = dict(await find(keys))
    made: dict[Key, Value] = {}
    while missing := sorted(set(keys) - found.keys() - made.keys()):
        made |= await make(missing)
        if taken := [key for key in missing if key not in made]:
            found |= await find(taken)
    return found, made
