"""What routes ask for in their signatures: the archive, the caller, the base of absolute URLs.

    @router.get("/studies")
    async def search_for_studies(caller: Reader, archive: ArchiveOf, base: BaseUrl) -> Response: ...

They are looked up, never made, per request: the middleware has put the caller there already.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from starlette.types import Scope as AsgiScope

from app.access.authenticator import Authenticator
from app.access.principal import Principal, Scope
from app.archive import Archive
from app.web.proxies import ORIGIN

DICOMWEB = "/dicomweb"
"""The path that every DICOMweb resource lies under."""
DEIDENTIFIED = "/deidentified"
"""Below it, the base of what is shared without who it is of."""


async def get_archive(request: Request) -> Archive:
    """The archive that this process has open."""
    archive: Archive = request.app.state.archive
    return archive


async def get_principal(request: Request) -> Principal:
    """The caller, whom the authentication middleware has let in."""
    principal: Principal = request.state.principal
    return principal


def require(scope: Scope) -> Callable[[Request], Awaitable[Principal]]:
    """A dependency that gives the caller, or raises `Forbidden` if they lack the scope."""

    async def caller(request: Request) -> Principal:
        principal = await get_principal(request)
        principal.demand(scope)
        return principal

    return caller


async def auditor(request: Request) -> Principal:
    """The caller, or raises `Forbidden` for who may not look into the audit at this very moment."""
    caller = await get_principal(request)
    caller.demand(Scope.AUDIT)
    authenticator: Authenticator = request.app.state.authenticator
    again = await authenticator.looked_up_again(caller)
    again.demand(Scope.AUDIT)
    return again


async def base_url(request: Request) -> str:
    """As `base_of`."""
    return base_of(request.scope)


def base_of(scope: AsgiScope) -> str:
    """The absolute URL of the DICOMweb base as callers reach it, with no slash at the end.

    It is the configured public URL, else the address that a trusted proxy was called by, else that
    of the socket that the request came in by; never the Host header, which is the caller's word and
    often lacks the port.
    """
    archive: Archive = scope["app"].state.archive
    if archive.settings.public_url is not None:
        return archive.settings.public_url.rstrip("/") + DICOMWEB
    origin: str | None = scope["state"].get(ORIGIN)
    if origin is not None:
        return origin + DICOMWEB
    host, port = scope.get("server") or ("localhost", None)
    if port is None:
        return f"{scope['scheme']}://localhost{DICOMWEB}"
    host = f"[{host}]" if ":" in host else host
    return f"{scope['scheme']}://{host}:{port}{DICOMWEB}"


ArchiveOf = Annotated[Archive, Depends(get_archive)]
BaseUrl = Annotated[str, Depends(base_url)]
Caller = Annotated[Principal, Depends(get_principal)]
Reader = Annotated[Principal, Depends(require(Scope.READ))]
Storer = Annotated[Principal, Depends(require(Scope.STORE))]
Deleter = Annotated[Principal, Depends(require(Scope.DELETE))]
Auditor = Annotated[Principal, Depends(auditor)]
Sharer = Annotated[Principal, Depends(require(Scope.SHARE))]
Administrator = Annotated[Principal, Depends(require(Scope.ADMIN))]
