"""`Authentication`: no request reaches a route, known or not, without a caller who is known.

Only what tells nothing of the archive is open to everybody; see `OPEN_PATHS`.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from app.access.authenticator import Authenticator

OPEN_PATHS = frozenset({"/", "/health/live", "/health/ready"})


class Authentication:
    """Finds out who is asking, and puts the `Principal` into the request's state.

    Raises `Unauthenticated` for the error responses to answer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            authenticator: Authenticator = scope["app"].state.authenticator
            header = next((v for k, v in scope["headers"] if k == b"authorization"), b"")
            scope["state"]["principal"] = await authenticator.principal_of(header.decode("latin-1"))
        await self._app(scope, receive, send)
