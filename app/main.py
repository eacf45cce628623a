"""`create_app`: the archive as one ASGI application. Everything that is wired is wired here."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from app.archive import open_archive
from app.settings import Settings


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; `settings` are read from the environment unless given.

    Each process that serves it opens the archive when it starts, so after any fork, and closes
    it when it ends.
    """
    chosen = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.archive = await open_archive(chosen)
        yield
        await app.state.archive.close()

    return FastAPI(title="Hilum", lifespan=lifespan)
