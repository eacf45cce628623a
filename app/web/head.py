"""`HeadAsGet`: HEAD works wherever GET does, and costs no body.

But for ranges, which a GET alone asks for (RFC 9110 14.2).
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class _HeadersAreSent(Exception):
    """Ends the making of a body that nobody will get."""


class HeadAsGet:
    """Shows a HEAD request as GET to the routes, and stops them when the headers are out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") != "HEAD":
            await self._app(scope, receive, send)
            return

        async def headers_only(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                return
            await send({"type": "http.response.body"})
            if message.get("more_body"):
                raise _HeadersAreSent

        # A copy: the server reads the method from its own when it sends the answer.
        headers = [header for header in scope["headers"] if header[0] != b"range"]
        as_get = {**scope, "method": "GET", "headers": headers}
        try:
            await self._app(as_get, receive, headers_only)
        except _HeadersAreSent:
            pass
        finally:
            scope["route"] = as_get.get("route")
