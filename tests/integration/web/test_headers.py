"""No answer of any route, and no refusal, goes out without the headers that protect who gets it."""

import httpx
import pytest

from tests.fixtures.server import Server
from tests.integration.access.test_matrix import MATRIX, OURS, SEGMENTS
from tests.integration.web.conftest import room
from tests.raw_http import RawConnection

TOLD = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}


def check(answer: httpx.Response) -> None:
    what = f"{answer.request.method} {answer.request.url} {answer.status_code}"
    for name, value in TOLD.items():
        assert answer.headers.get_list(name) == [value], what
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy, what
    assert "frame-ancestors 'self'" in policy, what
    assert "server" not in answer.headers, what
    assert "x-powered-by" not in answer.headers, what
    assert "access-control-allow-credentials" not in answer.headers, what
    if answer.status_code >= 400:
        assert answer.headers["cache-control"] == "no-store", what


@pytest.mark.parametrize("scopes", [None, (), ("read",), ("admin",)])
async def test_every_route_answers_with_them(
    server: Server, scopes: tuple[str, ...] | None
) -> None:
    token = "nobody's" if scopes is None else await server.token(*scopes)
    headers = {"Authorization": f"Bearer {token}", "Origin": "https://viewer.example"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, trust_env=False) as http:
        for method, template in MATRIX:
            path = template
            for name, value in SEGMENTS.items():
                path = path.replace("{" + name + "}", value)
            for asked in (method, "OPTIONS", "PATCH"):
                check(await http.request(asked, path))
        check(await http.get("/dicomweb/studies?limit=x"))
        check(await http.get(f"/dicomweb{OURS.path}", headers={"Accept": "image/bmp"}))
        check(await http.get("/" + "x" * 40_000))
        check(await http.post("/dicomweb/studies", headers={"Content-Encoding": "gzip"}))
        preflight = {"Access-Control-Request-Method": "GET"}
        check(await http.options("/dicomweb/studies", headers=preflight))


async def test_errors_of_ours_answer_with_them(room_server: Server) -> None:
    async with room_server.client("admin") as http:
        for route in room.routes:
            path = getattr(route, "path", "").removeprefix("/dicomweb")
            if "stream" not in path:
                check(await http.get(path))
        check(await http.get("/room/stream-that-never-begins"))


@pytest.mark.parametrize(
    "sent",
    [
        b"no HTTP at all\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n",
        b"GET /" + b"x" * 40_000,
        b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000,
    ],
)
def test_what_is_no_request_is_answered_with_those_that_matter(server: Server, sent: bytes) -> None:
    with RawConnection(server.url) as connection:
        connection.send(sent)
        answer = connection.receive()
    assert answer.status in {400, 414, 431}
    for name, value in TOLD.items():
        assert answer.headers[name] == value
    assert "server" not in answer.headers
