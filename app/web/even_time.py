"""`EvenTime`: what is hidden and what is not there take the same time.

To find that there is nothing takes a little longer where there is something that the caller may
not see. So a caller whom grants restrict gets `404` and empty results only at the end of a beat
that began with the request. Whoever sees the whole partition has nothing to learn and waits for
nothing.
"""

import asyncio
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.access.principal import Principal
from app.web.errors import status_of
from app.web.multipart import Writer

BEAT_SECONDS = 0.05
_NOTHING = {b"2", b"%d" % len(Writer("").end())}
"""The Content-Length of `[]`, and of a message without any part."""


class EvenTime:
    """Holds back what tells that nothing was found."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller: Principal | None = scope.get("state", {}).get("principal")
        if caller is None or caller.holder is None:
            await self._app(scope, receive, send)
            return
        began = time.monotonic()

        async def on_the_beat(message: Message) -> None:
            if message["type"] == "http.response.start" and _tells_of_nothing(message):
                await _wait(began)
            await send(message)

        try:
            await self._app(scope, receive, on_the_beat)
        except Exception as error:
            if status_of(error) == 404:
                await _wait(began)
            raise


def _tells_of_nothing(message: Message) -> bool:
    if message["status"] in {204, 404}:
        return True
    if message["status"] != 200:
        return False
    return any(name == b"content-length" and told in _NOTHING for name, told in message["headers"])


async def _wait(began: float) -> None:
    await asyncio.sleep(BEAT_SECONDS - (time.monotonic() - began) % BEAT_SECONDS)
