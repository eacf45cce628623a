"""`SecurityHeaders`: what every answer tells a browser of how little it may do with it.

    X-Content-Type-Options   nosniff: it is what its media type says
    Referrer-Policy          no-referrer: where it leads to does not hear of patients from addresses
    Content-Security-Policy  it loads nothing, and is framed by this site and the viewers' alone

A room that serves documents has a stricter policy of its own; both hold. One that says who may
frame it is a page's, and holds alone. The pages that describe the API load what they need, and run
no script but their own.
"""

import base64
import hashlib
import re
from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

Header = tuple[bytes, bytes]

POLICY = b"content-security-policy"
ALWAYS: Sequence[Header] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
PAGES = frozenset({"/docs", "/docs/oauth2-redirect", "/redoc"})

_NOTHING = b"default-src 'none'"
_OF_PAGE = (
    "default-src 'none'; connect-src 'self'; script-src https://cdn.jsdelivr.net{scripts};"
    " style-src 'unsafe-inline' https://cdn.jsdelivr.net https://fonts.googleapis.com;"
    " font-src https://fonts.gstatic.com; img-src 'self' data: https://cdn.redoc.ly"
    " https://fastapi.tiangolo.com; worker-src blob:"
)
_INLINE = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


class SecurityHeaders:
    """Adds them to whatever is answered below."""

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        """`origins`: those of the viewers, which may show answers in frames; `*` names none."""
        named = [origin.rstrip("/") for origin in origins if origin != "*"]
        self._app = app
        self._ancestors = " ".join(["frame-ancestors 'self'", *named]).encode()
        self._policy = POLICY, _NOTHING + b"; " + self._ancestors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                policies = [] if _is_page_of_room(message["headers"]) else [self._policy]
                message["headers"] = [*message["headers"], *ALWAYS, *policies]
            await send(message)

        is_page = scope["path"] in PAGES
        await self._app(scope, receive, self._of_page(send) if is_page else with_headers)

    def _of_page(self, send: Send) -> Send:
        """Sends a page, of which every script that stands in it may run."""
        start: Message = {}

        async def sent(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            if start:
                policy = _policy_of(message.get("body", b"")) + b"; " + self._ancestors
                start["headers"] = [*start["headers"], *ALWAYS, (POLICY, policy)]
                await send(start)
                start = {}
            await send(message)

        return sent


def _is_page_of_room(headers: Sequence[Header]) -> bool:
    return any(name == POLICY and b"frame-ancestors" in value for name, value in headers)


def _policy_of(page: bytes) -> bytes:
    scripts = [
        f" 'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'"
        for script in _INLINE.findall(page)
    ]
    return _OF_PAGE.format(scripts="".join(scripts)).encode()
