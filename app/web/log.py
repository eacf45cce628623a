"""What the program says while it runs: one line a request, and what went wrong.

A line never holds what a caller sent: no path (the route's pattern instead), no query, no token,
and of an unexpected error its place, not its message, which may quote a patient. The audit holds
the rest, under the same request id.
"""

import secrets
import sys
import time
from collections.abc import Callable
from typing import Any

import orjson
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.typing import EventDict, Processor, WrappedLogger

from app.web.errors import CLIENT_CLOSED_REQUEST


def configure_log(log_format: str) -> None:
    """Write lines for people (`console`) or JSON (`json`) to the standard output.

    `auto` is for people if the output is a terminal. Elsewhere programs read it, and lines that
    look nice cost three times as much.
    """
    if log_format == "auto":
        log_format = "console" if sys.stdout.isatty() else "json"
    renderer: Processor
    factory: Callable[..., WrappedLogger]
    if log_format == "json":
        renderer = structlog.processors.JSONRenderer(serializer=_json)
        factory = structlog.BytesLoggerFactory()
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())
        factory = structlog.PrintLoggerFactory()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper("iso", utc=True),
            _escape_control_characters,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )


def _json(line: EventDict, **_: object) -> bytes:
    return orjson.dumps(line, str)


def _escape_control_characters(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    for key, value in line.items():
        if isinstance(value, str) and not value.isprintable():
            line[key] = ascii(value)
    return line


class RequestLog:
    """Gives every request an id, tells it to the caller, and writes a line when it is over."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._log = structlog.get_logger()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        state: dict[str, Any] = scope.setdefault("state", {})
        request_id = state["request_id"] = secrets.token_hex(8)
        status, sent, whole = CLIENT_CLOSED_REQUEST, 0, False

        async def watched(message: Message) -> None:
            nonlocal status, sent, whole
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append((b"x-request-id", request_id.encode()))
            else:
                sent += len(message.get("body", b""))
                whole = not message.get("more_body", False)
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            principal = state.get("principal")
            self._log.info(
                "request",
                request_id=request_id,
                method=scope["method"],
                route=getattr(scope.get("route"), "path", None),
                status=status,
                sent=sent,
                whole=whole,
                milliseconds=round((time.perf_counter() - began) * 1000, 2),
                principal=principal and principal.name,
            )
