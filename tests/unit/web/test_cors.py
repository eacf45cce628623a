"""Browsers let viewers of other origins use the archive, errors included."""

from typing import Any

import pytest

from app.web.cors import Cors
from tests.unit.web.asgi import Call, answering, raising, scope

VIEWER = b"https://viewer.example"
PREFLIGHT = [
    (b"origin", VIEWER),
    (b"access-control-request-method", b"GET"),
    (b"access-control-request-headers", b"authorization,accept"),
]


async def test_a_preflight_is_answered_without_reaching_anything_else() -> None:
    app = Cors(raising(AssertionError("reached")), ["*"])
    call = await Call()(app, scope("OPTIONS", "/dicomweb/studies", PREFLIGHT))
    assert call.status == 204
    assert call.body == b""
    assert call.headers["access-control-allow-origin"] == "*"
    assert call.headers["access-control-max-age"] == "7200"
    allowed = call.headers["access-control-allow-headers"].lower().split(", ")
    assert {"authorization", "accept", "content-type", "range", "if-none-match"} <= set(allowed)
    assert call.headers["access-control-allow-methods"] == "GET, HEAD, POST, DELETE, OPTIONS"


@pytest.mark.parametrize("status", [200, 401, 500])
async def test_every_answer_can_be_read_by_the_viewer(status: int) -> None:
    app = Cors(answering(status, [(b"etag", b'"1"')]), ["*"])
    call = await Call()(app, scope(headers=[(b"origin", VIEWER)]))
    assert call.headers["access-control-allow-origin"] == "*"
    exposed = set(call.headers["access-control-expose-headers"].split(", "))
    assert exposed == {
        *("Content-Location", "Content-Range", "ETag", "Location", "Warning"),
        *("Link", "Retry-After", "X-Total-Count"),
    }
    assert call.headers["cross-origin-resource-policy"] == "cross-origin"
    assert call.headers["etag"] == '"1"'


async def test_with_a_list_only_its_origins_are_let_in() -> None:
    app = Cors(answering(headers=[(b"vary", b"Accept")]), ["https://viewer.example/"])
    allowed = await Call()(app, scope(headers=[(b"origin", VIEWER)]))
    assert allowed.headers["access-control-allow-origin"] == VIEWER.decode()
    other = await Call()(app, scope(headers=[(b"origin", b"https://evil.example")]))
    assert "access-control-allow-origin" not in other.headers
    none = await Call()(app, scope())
    assert "access-control-allow-origin" not in none.headers
    for call in (allowed, other, none):
        assert call.headers["vary"] == "Accept, Origin"


async def test_credentials_are_allowed_for_a_session_alone_and_by_name_alone() -> None:
    allowed = []
    for origins in (["*"], [VIEWER.decode()], ["https://other.example"]):
        for path in ("/dicomweb/session", "/dicomweb/studies", "/dicomweb/session/", "/"):
            for headers in ([(b"origin", VIEWER)], PREFLIGHT):
                method = "OPTIONS" if headers is PREFLIGHT else "POST"
                asked = scope(method, path, headers=headers)
                call = await Call()(Cors(answering(), origins), asked)
                if "access-control-allow-credentials" in call.headers:
                    assert call.headers["access-control-allow-origin"] == VIEWER.decode()
                    allowed.append((origins[0], path, method))
    named = VIEWER.decode(), "/dicomweb/session"
    assert allowed == [(*named, "POST"), (*named, "OPTIONS")]


async def test_what_a_cookie_opens_is_for_pages_of_the_same_site() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["state"]["by_cookie"] = True
        await answering()(scope, receive, send)

    call = await Call()(Cors(app, ["*"]), scope())
    assert call.headers["cross-origin-resource-policy"] == "same-site"
    assert "Cookie" in call.headers["vary"]


async def test_options_that_is_no_preflight_goes_on() -> None:
    call = await Call()(Cors(answering(405), ["*"]), scope("OPTIONS"))
    assert call.status == 405
