"""Small ASGI applications and a caller, for tests of middleware and responses without a server."""

from collections.abc import Iterable
from typing import Any

from starlette.types import ASGIApp, Message

Header = tuple[bytes, bytes]


def scope(method: str = "GET", path: str = "/", headers: Iterable[Header] = (), **more: Any) -> Any:
    """The scope of a request as the server gives it."""
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "scheme": "http",
        "server": ("127.0.0.1", 8080),
        "client": ("192.0.2.1", 50000),
        "headers": list(headers),
        "state": {"request_id": "r1"},
    } | more


class Call:
    """One request and what was answered to it."""

    def __init__(self, body: Iterable[bytes] = ()) -> None:
        pieces = list(body) or [b""]
        self._incoming = [
            {"type": "http.request", "body": piece, "more_body": number < len(pieces)}
            for number, piece in enumerate(pieces, 1)
        ]
        self.sent: list[Message] = []

    async def __call__(self, app: ASGIApp, scope: Any) -> "Call":
        await app(scope, self.receive, self.send)
        return self

    async def receive(self) -> Message:
        return self._incoming.pop(0) if self._incoming else {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        status: int = self.sent[0]["status"]
        return status

    @property
    def headers(self) -> dict[str, str]:
        """By name in lower case; those given twice are joined."""
        headers: dict[str, str] = {}
        for name, value in self.sent[0]["headers"]:
            key = name.decode().lower()
            headers[key] = ", ".join([*filter(None, [headers.get(key)]), value.decode("latin-1")])
        return headers

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    @property
    def whole(self) -> bool:
        """Whether the answer has an end."""
        return len(self.sent) > 1 and not self.sent[-1].get("more_body", False)


def answering(status: int = 200, headers: Iterable[Header] = (), body: bytes = b"body") -> ASGIApp:
    """An application that always answers the same."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        await send({"type": "http.response.body", "body": body})

    return app


def raising(error: BaseException) -> ASGIApp:
    """An application that fails before it answers."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise error

    return app
