"""`FhirRoute`: what goes wrong with a request is told as FHIR tells it, as an OperationOutcome.

Who may not ask at all hears that as everywhere else, as problem details.
"""

from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute

from app.audit.fhir import MEDIA_TYPE
from app.errors import ArchiveError, BadRequest, NotAcceptable, NotFound, UnsupportedMediaType
from app.web.errors import status_of

_ISSUES: dict[type[ArchiveError], str] = {
    BadRequest: "invalid",
    NotFound: "not-found",
    NotAcceptable: "not-supported",
    UnsupportedMediaType: "not-supported",
}
_JSON = ("*/*", "application/*", "application/json", MEDIA_TYPE)


class FhirRoute(APIRoute):
    """A route whose answers are resources of FHIR, in JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What FastAPI calls for a request."""
        answer = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                _require_json(request)
                return await answer(request)
            except tuple(_ISSUES) as error:
                return outcome(error)

        return handle


def resource(content: dict[str, Any], status: int = 200) -> Response:
    """An answer that is a resource; nobody keeps it."""
    headers = {"Cache-Control": "no-store"}
    return Response(orjson.dumps(content), status, headers, media_type=MEDIA_TYPE)


def outcome(error: ArchiveError) -> Response:
    """The answer that tells of an error."""
    code = next(_ISSUES[kind] for kind in type(error).__mro__ if kind in _ISSUES)
    issue = {"severity": "error", "code": code, "diagnostics": _plain(str(error))}
    return resource({"resourceType": "OperationOutcome", "issue": [issue]}, status_of(error))


def _plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _require_json(request: Request) -> None:
    accept = request.headers.get("accept") or "*/*"
    ranges = [one.partition(";")[0].strip().lower() for one in accept.split(",")]
    if not any(one in _JSON for one in ranges):
        raise NotAcceptable("There is JSON alone: application/fhir+json.")
