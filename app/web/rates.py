"""`Rates`: how many requests a second one caller may make of this process.

Each caller has so many for a second, which come back as time goes by; who has used them up hears
429 and when to come again. What is refused for its token costs nothing more, and is not counted.
"""

import math
import time

from starlette.types import ASGIApp, Receive, Scope, Send

from app.access.principal import Principal
from app.web.errors import TooManyRequests

MOST_CALLERS = 10_000
"""Beyond that all begin anew."""

_Caller = tuple[int, int | None, str]


class Rates:
    """Refuses what one caller asks beyond the limit."""

    def __init__(self, app: ASGIApp, requests_per_second: int) -> None:
        """`requests_per_second`: 0 for no limit."""
        self._app = app
        self._most = float(requests_per_second)
        self._left: dict[_Caller, tuple[float, float]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller: Principal | None = scope.get("state", {}).get("principal")
        if self._most and caller is not None:
            self._take((caller.partition_id, caller.token_id, caller.name))
        await self._app(scope, receive, send)

    def _take(self, caller: _Caller) -> None:
        now = time.monotonic()
        left, at = self._left.get(caller, (self._most, now))
        left = min(self._most, left + (now - at) * self._most)
        if left < 1:
            raise TooManyRequests(math.ceil((1 - left) / self._most))
        if len(self._left) >= MOST_CALLERS:
            self._left.clear()
        self._left[caller] = left - 1, now
