"""`Authentication`: no request reaches a route, known or not, without a caller who is known.

Only what tells nothing of the archive is open to everybody; see `OPEN_PATHS`.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from app.access.authenticator import Authenticator
from app.errors import Unauthenticated

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
            headers = [value for name, value in scope["headers"] if name == b"authorization"]
            if len(headers) != 1:
                # Of two, a proxy before us may have looked at the other.
                raise Unauthenticated
            authorization = headers[0].decode("latin-1")
            scope["state"]["principal"] = await authenticator.principal_of(authorization)
        await self._app(scope, receive, send)
