"""`Authentication`: no request reaches a route, known or not, without a caller who is known.

Who is asking is told by, and in this order, the Authorization header, a token of one study in the
address, the cookie of a session, or a certificate (where the settings let it say so). The cookie is
good for looking alone (GET and HEAD below the DICOMweb path), and for ending its session. Two at
once are refused, but for cookie and certificate, which a browser adds by itself: by these, nothing
is done for pages of other sites. In development mode, who works on this machine needs none of them.

Only what tells nothing of the archive is open to everybody; see `OPEN_PATHS`. A link of a share is
open too, and asks for itself who comes: see `app.shares.opening`.
"""

import re
from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from app.access.authenticator import Authenticator
from app.access.credentials import GUEST_PREFIX
from app.access.principal import Principal
from app.errors import Unauthenticated
from app.web.client_certificates import certificate_in
from app.web.cookies import SHARE_COOKIE, Cookie, is_of_our_site
from app.web.dependencies import DICOMWEB, base_of
from app.web.development import comes_from_here
from app.web.study_tokens import kept_by_nobody, study_asked_for, take_tokens

OPEN_PATHS = frozenset({"/", "/health/live", "/health/ready"})
LINK = re.compile(r"/share/[^/]+")
BY_COOKIE = "by_cookie"
"""In the state of a request: whether a cookie said who is asking."""

SESSION = f"{DICOMWEB}/session"


class Authentication:
    """Finds out who is asking, and puts the `Principal` into the request's state.

    Raises `Unauthenticated` for the error responses to answer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _asks_who(scope["path"]):
            in_address = take_tokens(scope)
            if in_address:
                send = kept_by_nobody(send)
            scope["state"]["principal"] = await _principal_of(scope, in_address)
        await self._app(scope, receive, send)


def _asks_who(path: str) -> bool:
    return path not in OPEN_PATHS and LINK.fullmatch(path) is None


async def _principal_of(scope: Scope, in_address: Sequence[str]) -> Principal:
    authenticator: Authenticator = scope["app"].state.authenticator
    certificate = certificate_in(scope, scope["app"].state.archive.settings.client_certificates)
    told = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(told) + len(in_address) > 1:
        # Of two, a proxy before us may have looked at the other.
        raise Unauthenticated
    if told:
        address = scope["client"][0] if scope.get("client") else ""
        return await authenticator.principal_of(told[0].decode("latin-1"), certificate, address)
    if in_address:
        study = study_asked_for(scope)
        if study is None:
            raise Unauthenticated
        return await authenticator.principal_of_session(in_address[0], study)
    cookies, of_share = _cookies_of(scope)
    has_cookies = bool(cookies or of_share)
    if has_cookies and _may_come_by_cookie(scope["method"], scope["path"]):
        return await _by_cookie(scope, authenticator, cookies, of_share)
    if certificate is not None and is_of_our_site(scope["headers"], base_of(scope)):
        return await authenticator.principal_of_certificate(certificate)
    if not has_cookies and comes_from_here(scope):
        return await authenticator.principal_without_token()
    raise Unauthenticated


def _may_come_by_cookie(method: str, path: str) -> bool:
    if method in {"GET", "HEAD"}:
        return path.startswith(DICOMWEB + "/")
    return (method, path) == ("DELETE", SESSION)


def _cookies_of(scope: Scope) -> tuple[list[str], list[str]]:
    """What the request has of our cookies: of sessions, else of shares."""
    base, headers = base_of(scope), scope["headers"]
    values = Cookie.of(base).values_in(headers)
    return values, [] if values else Cookie.of(base, SHARE_COOKIE).values_in(headers)


async def _by_cookie(
    scope: Scope, authenticator: Authenticator, values: Sequence[str], of_share: Sequence[str]
) -> Principal:
    if len(values) + len(of_share) != 1 or not is_of_our_site(scope["headers"], base_of(scope)):
        raise Unauthenticated
    if not of_share:
        principal = await authenticator.principal_of_session(values[0])
    elif of_share[0].startswith(GUEST_PREFIX):
        principal = await authenticator.principal_with(of_share[0])
    else:
        raise Unauthenticated
    scope["state"][BY_COOKIE] = True
    return principal
