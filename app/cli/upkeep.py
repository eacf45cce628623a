"""`hilum sweep`: what keeps an archive in order, for who would rather not wait until it is done."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.archive import Archive, open_archive
from app.cli.environment import database, read_settings
from app.upkeep import sweep as sweeping

Result = TypeVar("Result")


def sweep() -> None:
    """Remove blobs that a crash left behind; a serving archive does so by itself."""
    swept = with_archive(sweeping.sweep)
    print(f"{swept.uploads} uploads swept: {swept.keys} of their keys belong to no instance.")


def with_archive(action: Callable[[Archive], Awaitable[Result]]) -> Result:
    """Do something with the archive of the settings, whether or not it is being served."""
    settings = read_settings()

    async def act() -> Result:
        archive = await open_archive(settings)
        try:
            return await action(archive)
        finally:
            await archive.close()

    with database(settings):
        return asyncio.run(act())
