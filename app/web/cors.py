"""`Cors`: lets viewers in browsers use the archive from other origins (Fetch standard, 3.2).

- Outside of all that refuses, so that a refusal can be read by the viewer too.
- A preflight is answered here, with no caller known and nothing else done: browsers send one for
  every URL of a frame.
- The headers are listed one by one, since `*` does not cover Authorization.
- Cookies are for `<img>` and the like, and not read through here: credentials are never allowed,
  but for getting and ending a session, and then only to origins that the settings name. `*` gives
  nothing away.
"""

from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.web.authentication import BY_COOKIE, SESSION

Headers = list[tuple[bytes, bytes]]

ALLOWED_METHODS = b"GET, HEAD, POST, DELETE, OPTIONS"
ALLOWED_HEADERS = (
    b"Accept, Accept-Language, Authorization, Cache-Control, Content-Type, If-Match, "
    b"If-Modified-Since, If-None-Match, If-Range, If-Unmodified-Since, Range, X-Requested-With"
)
EXPOSED_HEADERS = (
    b"Content-Location, Content-Range, ETag, Location, Warning, Link, Retry-After, X-Total-Count"
)
MAX_AGE = b"7200"
"""Seconds; Chromium keeps no preflight for longer."""

WITH_CREDENTIALS = b"access-control-allow-credentials", b"true"
EVERYWHERE: Headers = [
    (b"access-control-expose-headers", EXPOSED_HEADERS),
]
# Lets an `<img>` of a page under COEP show what it may fetch; and what a cookie opens only to pages
# of the same site.
FOR_ALL = b"cross-origin-resource-policy", b"cross-origin"
FOR_OUR_SITE: Headers = [
    (b"cross-origin-resource-policy", b"same-site"),
    (b"vary", b"Cookie"),
]
PREFLIGHT: Headers = [
    (b"access-control-allow-methods", ALLOWED_METHODS),
    (b"access-control-allow-headers", ALLOWED_HEADERS),
    (b"access-control-max-age", MAX_AGE),
]


class Cors:
    """Answers preflights and adds the headers for browsers to every other answer."""

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        """`origins` are those of the viewers, such as `https://viewer.example`; `*` is any."""
        self._app = app
        self._origins = frozenset(origin.rstrip("/").encode() for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        origin = preflight = None
        for name, value in scope["headers"]:
            if name == b"origin":
                origin = value
            elif name == b"access-control-request-method":
                preflight = value
        allowance = self._allowance(origin, scope["path"])
        if origin and preflight and scope["method"] == "OPTIONS":
            headers = [*allowance, *PREFLIGHT]
            await send({"type": "http.response.start", "status": 204, "headers": headers})
            await send({"type": "http.response.body"})
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                of_cookie = scope.get("state", {}).get(BY_COOKIE, False)
                reach = FOR_OUR_SITE if of_cookie else (FOR_ALL,)
                message["headers"] = [*message["headers"], *allowance, *EVERYWHERE, *reach]
            await send(message)

        await self._app(scope, receive, with_headers)

    def _allowance(self, origin: bytes | None, path: str) -> Headers:
        if b"*" in self._origins:
            return [(b"access-control-allow-origin", b"*")]
        # The answer depends on who asks, whoever asked first.
        vary = (b"vary", b"Origin")
        if origin in self._origins:
            credentials = [WITH_CREDENTIALS] if path == SESSION else []
            return [(b"access-control-allow-origin", origin), *credentials, vary]
        return [vary]
