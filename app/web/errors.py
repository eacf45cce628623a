"""Which HTTP status each error is answered with, and how it is told (RFC 9457 problem+json).

This is the only place that knows. An error raised anywhere below the middleware travels up to
`ErrorResponses`, which answers; on its way the audit reads its status from here. What nobody raised
on purpose is answered with 500 and the request id, and logged.
"""

import asyncio
import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, NoReturn

import orjson
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from app import errors
from app.blobs.contract import BlobExists, BlobMissing
from app.dicom.dataset import Unreadable

CLIENT_CLOSED_REQUEST = 499
"""What the audit and the log say of a request whose caller went away before the answer began."""


class RequestTimedOut(errors.ArchiveError):
    """The body of the request stopped arriving."""


class UriTooLong(errors.ArchiveError):
    """The address of the request is longer than this archive takes."""


class HeadersTooLarge(errors.ArchiveError):
    """The headers of the request are more than this archive takes."""


class PreconditionFailed(errors.ArchiveError):
    """What there is has not the validator that If-Match names."""


class TooManyRequests(errors.TooOften):
    """The caller asks for more in a second than one caller may."""


class RangeNotSatisfiable(errors.ArchiveError):
    """The range lies outside of what was asked for."""

    def __init__(self, length: int) -> None:
        super().__init__(f"None of the {length} bytes lies in the range.")
        self.length = length


class MethodNotAllowed(errors.ArchiveError):
    """The resource does not have this method."""

    def __init__(self, allowed: Iterable[str]) -> None:
        super().__init__()
        self.allowed = sorted(allowed)


STATUSES: dict[type[BaseException], int] = {
    errors.BadRequest: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    MethodNotAllowed: 405,
    errors.NotAcceptable: 406,
    RequestTimedOut: 408,
    errors.Conflict: 409,
    errors.Gone: 410,
    PreconditionFailed: 412,
    errors.TooLarge: 413,
    UriTooLong: 414,
    errors.UnsupportedMediaType: 415,
    RangeNotSatisfiable: 416,
    errors.Unprocessable: 422,
    Unreadable: 422,
    errors.TooOften: 429,
    HeadersTooLarge: 431,
    ClientDisconnect: CLIENT_CLOSED_REQUEST,
    errors.Corrupt: 500,
    BlobExists: 500,
    BlobMissing: 500,
    errors.Unavailable: 503,
    asyncio.CancelledError: 503,
}


def status_of(error: BaseException) -> int:
    """The HTTP status that tells of this error: that of its nearest class in the table."""
    return next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), 500)


def problem(error: Exception, scope: Scope) -> Response:
    """The answer that tells of this error."""
    status = status_of(error)
    told: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "request_id": scope["state"]["request_id"],
        "detail": "The archive failed. Its log tells more under this request id.",
    }
    if isinstance(error, errors.ArchiveError):
        told["detail"] = str(error).encode("utf-8", "replace").decode()
        told["code"] = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(error).__name__).lower()
    if isinstance(error, errors.InvalidParameter):
        told |= {"parameter": error.name, "reason": error.why}
    response = Response(orjson.dumps(told), status, media_type="application/problem+json")
    response.headers["Cache-Control"] = "no-store"
    for name, value in _headers(error, scope):
        response.headers.append(name, value)
    return response


def _headers(error: Exception, scope: Scope) -> Iterable[tuple[str, str]]:
    match error:
        case errors.Unauthenticated():
            yield "WWW-Authenticate", 'Bearer realm="Hilum"'
            # A browser answers a Basic challenge to a viewer's request with a password dialogue.
            if dict(scope["headers"]).get(b"sec-fetch-mode", b"navigate") == b"navigate":
                yield "WWW-Authenticate", 'Basic realm="Hilum", charset="UTF-8"'
        case errors.Forbidden():
            yield "WWW-Authenticate", 'Bearer realm="Hilum", error="insufficient_scope"'
        case MethodNotAllowed():
            yield "Allow", ", ".join(error.allowed)
        case RangeNotSatisfiable():
            yield "Content-Range", f"bytes */{error.length}"
        case errors.Unavailable() | errors.TooOften():
            yield "Retry-After", str(error.retry_after)


async def raise_for_validation(_: Request, error: Exception) -> NoReturn:
    """Raise what FastAPI found wrong with the parameters first, as an error of ours."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    name = ".".join(str(step) for step in first["loc"][1:]) or str(first["loc"][0])
    raise errors.InvalidParameter(name, str(first.get("input")), first["msg"]) from None


async def raise_for_routing(request: Request, error: Exception) -> NoReturn:
    """Raise what Starlette says of a path or a method that no route takes, as an error of ours.

    Also what FastAPI calls an error of parsing, since a body ended with an error of ours.
    """
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, errors.ArchiveError):
        raise error.__cause__ from None
    match error.status_code:
        case 404:
            raise errors.NotFound("There is no such resource.") from None
        case 405:
            raise MethodNotAllowed(_methods_of(request)) from None
        case _:
            raise errors.BadRequest(error.detail) from None


def _methods_of(request: Request) -> set[str]:
    """The methods that some route takes at the path of the request."""
    methods = {
        method
        for method in ("GET", "POST", "PUT", "DELETE")
        for route in request.app.routes
        if route.matches(dict(request.scope) | {"method": method})[0] is Match.FULL
    }
    return methods | {"HEAD"} if "GET" in methods else methods
