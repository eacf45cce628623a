"""Every error that can be raised on purpose has its HTTP status, and is told without leaking."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

import app
from app import errors
from app.web.errors import (
    STATUSES,
    MethodNotAllowed,
    RangeNotSatisfiable,
    problem,
    status_of,
)

SCOPE: dict[str, Any] = {"type": "http", "headers": [], "state": {"request_id": "r1"}}


TOLD_ON_THE_COMMAND_LINE = (
    "app.cli",
    "app.access.development",
    "app.audit.checkpoint",
    "app.audit.retention",
    "app.index.embedded",
    "app.index.migrate",
)
"""Where errors come from that are raised before anything is served."""


def every_error(kind: type[errors.ArchiveError]) -> Iterator[type[errors.ArchiveError]]:
    """All that is derived from the class, in modules that serve."""
    for child in kind.__subclasses__():
        if not child.__module__.startswith(TOLD_ON_THE_COMMAND_LINE):
            yield child
        yield from every_error(child)


def test_every_error_has_a_status() -> None:
    for module in pkgutil.walk_packages(app.__path__, "app."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found = list(every_error(errors.ArchiveError))
    assert errors.TooBusy in found
    without = [kind.__qualname__ for kind in found if not set(kind.__mro__) & set(STATUSES)]
    assert without == [], "give each a line in app.web.errors.STATUSES"


def test_the_nearest_class_decides() -> None:
    assert status_of(errors.InvalidParameter("limit", "-1", "no")) == 400
    assert status_of(errors.TooBusy()) == 503


def told(error: Exception, **scope: Any) -> tuple[dict[str, Any], Any]:
    response = problem(error, SCOPE | scope)
    assert response.media_type == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    return orjson.loads(response.body), response.headers


def test_a_problem_says_what_and_where() -> None:
    body, _ = told(errors.InvalidParameter("limit", "-1", "is negative"))
    assert body == {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "request_id": "r1",
        "detail": "limit='-1': is negative",
        "code": "invalid-parameter",
        "parameter": "limit",
        "reason": "is negative",
    }


def test_an_unexpected_error_says_nothing() -> None:
    body, _ = told(ValueError("Doe^Jane"))
    assert body["status"] == 500
    assert "Doe" not in str(body)
    assert body["request_id"] == "r1"


def test_any_text_can_be_told() -> None:
    body, _ = told(errors.BadRequest("a lone surrogate \udc80 and\r\na line"))
    assert body["detail"] == "a lone surrogate ? and\r\na line"


@pytest.mark.parametrize(
    ("error", "header", "value"),
    [
        (errors.Unavailable(retry_after=7), "retry-after", "7"),
        (MethodNotAllowed({"POST", "GET"}), "allow", "GET, POST"),
        (RangeNotSatisfiable(100), "content-range", "bytes */100"),
        (
            errors.Forbidden(),
            "www-authenticate",
            'Bearer realm="Hilum", error="insufficient_scope"',
        ),
    ],
)
def test_headers_that_belong_to_a_status(error: Exception, header: str, value: str) -> None:
    assert told(error)[1][header] == value


@pytest.mark.parametrize(
    ("mode", "schemes"),
    [(None, ["Bearer", "Basic"]), (b"navigate", ["Bearer", "Basic"]), (b"cors", ["Bearer"])],
)
def test_a_viewer_is_not_answered_with_a_password_dialogue(
    mode: bytes | None, schemes: list[str]
) -> None:
    headers = [(b"sec-fetch-mode", mode)] if mode else []
    _, answered = told(errors.Unauthenticated(), headers=headers)
    assert [value.split()[0] for value in answered.getlist("www-authenticate")] == schemes
