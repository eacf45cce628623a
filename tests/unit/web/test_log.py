"""The log says what happened and where, and nothing that a caller or a patient is known by."""

import sys
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
import structlog
from structlog.testing import capture_logs

from app.errors import Corrupt, NotFound, places
from app.web.last_resort import ErrorResponses
from app.web.log import RequestLog, configure_log
from tests.unit.web.asgi import Call, answering, raising, scope


async def test_one_line_tells_of_a_request() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["route"] = SimpleNamespace(path="/studies/{study}")
        scope["state"]["principal"] = SimpleNamespace(name="viewer")
        await answering(200, body=b"12345")(scope, receive, send)

    secret = scope(
        path="/studies/SECRET", query_string=b"q=SECRET", headers=[(b"authorization", b"SECRET")]
    )
    with capture_logs() as lines:
        call = await Call()(RequestLog(app), secret)
    (line,) = lines
    assert line["event"] == "request"
    assert (line["method"], line["route"], line["status"]) == ("GET", "/studies/{study}", 200)
    assert (line["sent"], line["whole"], line["principal"]) == (5, True, "viewer")
    assert line["request_id"] == call.headers["x-request-id"]
    assert "SECRET" not in str(line)


async def test_a_request_without_an_answer_is_told_as_such() -> None:
    async def silent(scope: Any, receive: Any, send: Any) -> None: ...

    with capture_logs() as lines:
        await Call()(RequestLog(silent), scope())
    assert (lines[0]["status"], lines[0]["whole"]) == (499, False)


async def test_an_unexpected_error_is_answered_and_its_place_logged() -> None:
    with capture_logs() as lines:
        call = await Call()(ErrorResponses(raising(ValueError("Doe^Jane"))), scope())
    assert call.status == 500
    assert b"Doe" not in call.body
    (line,) = lines
    assert line["request_id"] == "r1"
    assert line["places"][-1] == "builtins.ValueError"
    assert any("asgi.py" in place for place in line["places"])
    assert "Doe" not in str(line)


async def test_an_expected_error_is_answered_and_not_logged() -> None:
    with capture_logs() as lines:
        call = await Call()(ErrorResponses(raising(NotFound("no such study"))), scope())
    assert call.status == 404
    assert orjson.loads(call.body)["detail"] == "no such study"
    assert lines == []


async def test_an_answer_that_breaks_off_is_left_without_an_end() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        raise Corrupt

    with capture_logs() as lines:
        call = await Call()(ErrorResponses(app), scope())
    assert (call.status, call.body, call.whole) == (200, b"a", False)
    assert lines[0]["answer_begun"] is True


def test_places_follow_the_causes() -> None:
    error = Corrupt()
    error.__cause__ = KeyError("Doe^Jane")
    told = places(error)
    kinds = [place for place in told if "/" not in place]
    assert kinds == ["builtins.KeyError", "app.errors.Corrupt"]
    assert "Doe" not in str(told)


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_nothing_in_a_line_upsets_a_terminal(
    log_format: str, capfd: pytest.CaptureFixture[str]
) -> None:
    configure_log(log_format)
    try:
        structlog.get_logger().info("said", value="a\r\nb\x1b[31m\u2028")
    finally:
        structlog.reset_defaults()
    (line,) = capfd.readouterr().out.splitlines()
    assert line.isprintable()
    assert "said" in line
    if log_format == "json":
        assert orjson.loads(line)["event"] == "said"


@pytest.mark.parametrize("at_a_terminal", [True, False])
def test_lines_are_for_people_at_a_terminal_alone(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *, at_a_terminal: bool
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: at_a_terminal)
    configure_log("auto")
    try:
        structlog.get_logger().info("said")
    finally:
        structlog.reset_defaults()
    (line,) = capfd.readouterr().out.splitlines()
    assert line.startswith("{") != at_a_terminal
