"""`create_app`: the archive as one ASGI application. Everything that is wired is wired here."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version

import structlog
from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from app.access import development
from app.access.authenticator import Authenticator
from app.administration.routes import router as administration
from app.archive import open_archive
from app.audit.feeding import feeds
from app.audit.trail import Trail
from app.deidentified.routes import router as deidentified
from app.inspection.feeds import router as audit_feeds
from app.inspection.reports import router as reports
from app.inspection.routes import router as inspection
from app.overrides.routes import router as overrides
from app.retrieve.bulkdata_routes import router as bulkdata
from app.retrieve.metadata_routes import router as metadata
from app.retrieve.rendered_routes import router as rendered
from app.retrieve.routes import router as retrieve
from app.retrieve.versions import router as versions
from app.retrieve.wado_uri_routes import router as wado_uri
from app.search.patient_routes import router as patients
from app.search.routes import router as search
from app.sessions.routes import router as sessions
from app.settings import Limits, Settings
from app.shares.opening import router as links
from app.shares.routes import router as shares
from app.store.routes import router as store
from app.store.service import PARTS_AT_ONCE
from app.upkeep.expiring import expirer
from app.upkeep.indexing import indexer
from app.upkeep.sweep import sweeper
from app.web import errors, health
from app.web.audit import AuditTrail
from app.web.authentication import Authentication
from app.web.cors import Cors
from app.web.even_time import EvenTime
from app.web.head import HeadAsGet
from app.web.headers import SecurityHeaders
from app.web.last_resort import ErrorResponses
from app.web.limits import Gates, RequestLimits
from app.web.log import RequestLog, configure_log
from app.web.openapi import DocumentedApp
from app.web.proxies import TrustedProxies
from app.web.rates import Rates

LAST_STORES_SECONDS = 20
"""How long stores that were broken off may take to keep what they have received whole."""

SPARE_THREADS = 16
"""For all that is neither stored nor read as a whole."""

ROOMS: tuple[APIRouter, ...] = (
    retrieve,
    metadata,
    rendered,
    bulkdata,
    versions,
    search,
    patients,
    store,
)
"""In the order in which their routes are tried: those of which a viewer asks thousands first."""


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; `settings` are read from the environment unless given.

    Each process that serves it opens the archive when it starts, so after any fork, and closes
    it when it ends.
    """
    chosen = settings or Settings()
    development.check(chosen)
    configure_log(chosen.log_format)
    app = DocumentedApp(
        title="Hilum",
        summary="An open DICOMweb archive",
        version=version("hilum"),
        redirect_slashes=False,
        lifespan=_lifespan(chosen),
        # As they are: a router that is included finds its route twice for every request.
        routes=[route for room in ROOMS for route in room.routes],
        # It would tell of exceptions with their messages, which may quote a patient.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        # Outermost first.
        middleware=[
            *_proxies(chosen),
            Middleware(SecurityHeaders, origins=chosen.cors_origins),
            Middleware(Cors, origins=chosen.cors_origins),
            Middleware(RequestLog),
            Middleware(ErrorResponses),
            Middleware(AuditTrail),
            Middleware(RequestLimits, limits=chosen.limits),
            Middleware(Authentication),
            Middleware(Rates, requests_per_second=chosen.limits.requests_per_second),
            Middleware(EvenTime),
            Middleware(HeadAsGet),
        ],
        exception_handlers={
            HTTPException: errors.raise_for_routing,
            RequestValidationError: errors.raise_for_validation,
        },
    )
    app.include_router(wado_uri)
    app.include_router(sessions)
    app.include_router(shares)
    app.include_router(links)
    app.include_router(overrides)
    app.include_router(deidentified)
    app.include_router(administration)
    app.include_router(inspection)
    app.include_router(reports)
    app.include_router(audit_feeds)
    app.include_router(health.router)
    return app


def _proxies(settings: Settings) -> list[Middleware]:
    """Nothing where no proxy is trusted."""
    trusted, kind = settings.trusted_proxies, settings.forwarded_headers
    return [Middleware(TrustedProxies, trusted=trusted, kind=kind)] if trusted else []


def _lifespan(
    settings: Settings,
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if settings.development:
            structlog.get_logger().warning(development.ANNOUNCEMENT)
        asyncio.get_running_loop().set_default_executor(_threads(settings.limits))
        archive = await open_archive(settings)
        trail = Trail(archive)
        app.state.archive = archive
        authenticator = Authenticator(archive)
        app.state.authenticator = authenticator
        app.state.trail = trail
        app.state.gates = Gates.of(settings.limits)
        app.state.readiness = health.Readiness(archive)
        upkeep = [sweeper(archive), indexer(archive), expirer(archive)]
        sending = feeds(archive)
        try:
            yield
        finally:
            for feed in sending:
                await feed.close()
            for work in upkeep:
                await work.close()
            await app.state.gates.stores.close(LAST_STORES_SECONDS)
            await trail.close()
            await authenticator.close()
            await archive.close()

    return lifespan


def _threads(limits: Limits) -> ThreadPoolExecutor:
    """So many that none has to wait for one that is busy with what takes long; made as needed."""
    stores = limits.concurrent_stores * PARTS_AT_ONCE
    return ThreadPoolExecutor(stores + limits.concurrent_reads + SPARE_THREADS)
