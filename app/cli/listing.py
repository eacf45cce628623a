"""Lists of what a partition has, which are read a page at a time."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from app.cli.environment import database, read_settings
from app.cli.tokens import partition_named, with_index
from app.index.database import Database


class Numbered(Protocol):
    """What is listed in the order of its ids."""

    @property
    def id(self) -> int: ...


T = TypeVar("T", bound=Numbered)

Page = Callable[[Database, int, int], Awaitable[Sequence[T]]]
"""Reads what a partition has behind an id, so many at a time; nothing when that is all."""


def print_all(partition: str, page: Page[T], line: Callable[[T], str]) -> None:
    """Print a line of each."""

    async def read(index: Database) -> list[T]:
        partition_id = await partition_named(index, partition)
        found: list[T] = []
        while more := await page(index, partition_id, found[-1].id if found else 0):
            found += more
        return found

    with database(read_settings()) as url:
        for one in with_index(url, read):
            print(line(one))
