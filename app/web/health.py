"""Health of this process, for balancers and orchestrators: no caller is known, no detail is given.

- `/health/live`: the process answers. If it does not, start it again.
- `/health/ready`: it can serve: the database answers and has the schema of this program, and the
  store of blobs answers. If not, send requests elsewhere.
"""

import asyncio
import time

import structlog
from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from app.access.development import ANNOUNCEMENT
from app.archive import Archive
from app.index import migrate
from app.web.dependencies import DICOMWEB

router = APIRouter(include_in_schema=False)

CHECK_SECONDS = 5
REMEMBERED_SECONDS = 1.0
"""Anybody may ask, so asking often must cost nothing."""

WELCOME = f"Hilum, a DICOMweb archive. DICOMweb: {DICOMWEB}  Documentation: /docs\n"


class Readiness:
    """Whether this process can serve."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._log = structlog.get_logger()
        self._revision = migrate.head()
        self._check: asyncio.Task[bool] | None = None
        self._checked_at = 0.0

    async def ready(self) -> bool:
        """The outcome of a check not older than a second; those who ask at once share it."""
        if self._check is None or time.monotonic() > self._checked_at + REMEMBERED_SECONDS:
            self._check = asyncio.create_task(self._passes())
            self._checked_at = time.monotonic()
        return await asyncio.shield(self._check)

    async def _passes(self) -> bool:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await self._archive.blobs.check()
                async with self._archive.reading() as connection:
                    return await migrate.current(connection) == self._revision
        # Whatever it is that fails: the answer is no.
        except Exception as error:
            self._log.warning("not ready", error=type(error).__qualname__)
            return False


@router.get("/")
async def welcome(request: Request) -> Response:
    """Tells a visitor where they are."""
    archive: Archive = request.app.state.archive
    in_development = f"{ANNOUNCEMENT}\n" if archive.settings.development else ""
    return PlainTextResponse(WELCOME + in_development)


@router.get("/health/live")
async def live() -> Response:
    """200 as long as the process answers."""
    return PlainTextResponse("live\n")


@router.get("/health/ready")
async def ready(request: Request) -> Response:
    """200 if the archive can serve, 503 if not."""
    readiness: Readiness = request.app.state.readiness
    if await readiness.ready():
        return PlainTextResponse("ready\n")
    return PlainTextResponse("not ready\n", 503, {"Retry-After": "5"})
