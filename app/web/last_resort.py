"""`ErrorResponses`: whatever is raised below ends here, in an answer and, if ours, in the log.

An answer that has begun cannot be taken back: it is left without an end, and the server closes the
connection, so that the caller knows it for broken.
"""

import asyncio

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import Unavailable, places
from app.web.errors import CLIENT_CLOSED_REQUEST, problem, status_of


class Stopping(Unavailable):
    """The archive is being stopped; try again when it is back."""


class ErrorResponses:
    """Turns exceptions into problem+json."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._log = structlog.get_logger()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except asyncio.CancelledError:
            # Only a server that ends breaks off requests, when it has waited for long enough.
            if begun:
                raise
            await problem(Stopping(), scope)(scope, receive, send)
        except Exception as error:
            status = status_of(error)
            if status == CLIENT_CLOSED_REQUEST:
                return
            if begun or status >= 500:
                self._log.error(
                    "request failed",
                    request_id=scope["state"]["request_id"],
                    status=status,
                    answer_begun=begun,
                    places=places(error),
                )
            if not begun:
                await problem(error, scope)(scope, receive, send)
