"""Which HTTP status each error is answered with, and how it is told (RFC 9457 problem+json).

This is the only place that knows. An error raised anywhere below the middleware travels up to
`ErrorResponses`, the last resort, which answers; on its way the audit reads its status from here.
What nobody raised on purpose is answered with 500 and the request id, and logged.
"""

import re
from http import HTTPStatus
from typing import Any

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from app import errors
from app.blobs.contract import BlobMissing

CLIENT_CLOSED_REQUEST = 499
"""What the audit and the log say of a request whose caller went away before the answer began."""


class RequestTimedOut(errors.ArchiveError):
    """The body of the request stopped arriving."""


class UriTooLong(errors.ArchiveError):
    """The address of the request is longer than this archive takes."""


class HeadersTooLarge(errors.ArchiveError):
    """The headers of the request are more than this archive takes."""


class RangeNotSatisfiable(errors.ArchiveError):
    """The range lies outside of what was asked for."""

    def __init__(self, length: int) -> None:
        super().__init__(f"No byte of the range is among the {length} that there are.")
        self.length = length


class MethodNotAllowed(errors.ArchiveError):
    """The resource has no such method."""

    def __init__(self, allowed: frozenset[str]) -> None:
        super().__init__()
        self.allowed = allowed


STATUSES: dict[type[Exception], int] = {
    errors.BadRequest: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    MethodNotAllowed: 405,
    errors.NotAcceptable: 406,
    RequestTimedOut: 408,
    errors.Conflict: 409,
    errors.Gone: 410,
    errors.TooLarge: 413,
    UriTooLong: 414,
    errors.UnsupportedMediaType: 415,
    RangeNotSatisfiable: 416,
    errors.Unprocessable: 422,
    HeadersTooLarge: 431,
    ClientDisconnect: CLIENT_CLOSED_REQUEST,
    errors.Corrupt: 500,
    BlobMissing: 500,
    errors.Unavailable: 503,
}


def status_of(error: BaseException) -> int:
    """The HTTP status that tells of this error: that of its nearest class in the table."""
    if isinstance(error, HTTPException):
        return error.status_code
    if isinstance(error, RequestValidationError):
        return 400
    return next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), 500)
