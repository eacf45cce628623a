"""HEAD answers as GET does, without the body and without the work of making it."""

from typing import Any

from app.web.head import HeadAsGet
from tests.unit.web.asgi import Call, answering, scope


async def test_head_gives_the_headers_of_get() -> None:
    call = await Call()(HeadAsGet(answering(headers=[(b"content-length", b"4")])), scope("HEAD"))
    assert call.status == 200
    assert call.headers == {"content-length": "4"}
    assert call.body == b""
    assert call.whole


async def test_the_routes_see_get_and_the_server_sees_head() -> None:
    seen = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.update(scope)
        scope["route"] = "the route"
        await answering()(scope, receive, send)

    request = scope("HEAD")
    await Call()(HeadAsGet(app), request)
    assert seen["method"] == "GET"
    assert request["method"] == "HEAD"
    assert request["route"] == "the route"


async def test_a_long_body_is_not_made() -> None:
    made, closed = [], []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            for number in range(1000):
                made.append(number)
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
        finally:
            closed.append(True)

    call = await Call()(HeadAsGet(app), scope("HEAD"))
    assert call.whole
    assert call.body == b""
    assert made == [0]
    assert closed
