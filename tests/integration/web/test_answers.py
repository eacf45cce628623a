"""What every answer has in common, seen through a real server."""

import asyncio
import gzip
from ipaddress import ip_network
from urllib.parse import urlsplit

import httpx
import pytest

from app.main import create_app
from app.settings import Settings
from tests.fixtures.server import Server, serving
from tests.integration.web.conftest import endless_streams, execute, records, room


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not-found"),
        ("GET", "/room/missing", 404, "not-found"),
        ("GET", "/room/read/", 404, "not-found"),
        ("GET", "/room/number?limit=x", 400, "invalid-parameter"),
        ("PUT", "/room/read", 405, "method-not-allowed"),
        ("POST", "/room/missing", 405, "method-not-allowed"),
        ("GET", "/room/broken", 500, None),
        ("GET", "/room/stream-that-never-begins", 404, "not-found"),
    ],
)
async def test_every_refusal_is_a_problem(
    room_server: Server, method: str, path: str, status: int, code: str | None
) -> None:
    async with room_server.client("admin", Origin="https://viewer.example") as http:
        answer = await http.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["access-control-allow-origin"] == "*"
    body = answer.json()
    assert body["status"] == status
    assert body.get("code") == code
    assert body["request_id"] == answer.headers["x-request-id"]
    assert "Doe" not in answer.text


async def test_a_bad_parameter_is_named(room_server: Server) -> None:
    async with room_server.client("read") as http:
        body = (await http.get("/room/number?limit=x")).json()
    assert body["parameter"] == "limit"
    assert "integer" in body["reason"]


async def test_a_method_that_is_not_there_is_answered_with_those_that_are(
    room_server: Server,
) -> None:
    async with room_server.client("read") as http:
        answer = await http.put("/room/read")
    assert answer.headers["allow"] == "DELETE, GET, HEAD, POST"


async def test_head_answers_as_get_does_and_makes_no_body(room_server: Server) -> None:
    async with room_server.client("read") as http:
        got, asked = await http.get("/room/read"), await http.head("/room/read")
        assert asked.status_code == got.status_code == 200
        assert asked.content == b""
        assert asked.headers["content-length"] == str(len(got.content))
        assert (await http.head("/room/missing")).status_code == 404
        assert (await http.head("/room/stream")).status_code == 200
        assert endless_streams == ["begun", "ended"]


async def test_json_is_compressed_on_the_way(room_server: Server) -> None:
    async with room_server.client("read") as http:
        request = http.build_request("GET", "/room/json", headers={"Accept-Encoding": "gzip"})
        answer = await http.send(request, stream=True)
        raw = b"".join([piece async for piece in answer.aiter_raw()])
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(raw).startswith(b"[{")


async def test_a_stream_that_breaks_off_is_not_taken_for_whole(room_server: Server) -> None:
    async with room_server.client("read") as http:
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get("/room/stream-that-breaks")


async def test_a_stream_ends_when_its_caller_leaves(room_server: Server) -> None:
    async with room_server.client("read") as http:
        async with http.stream("GET", "/room/stream") as answer:
            await anext(answer.aiter_raw())
        async with asyncio.timeout(5):
            while endless_streams != ["begun", "ended"]:
                await asyncio.sleep(0.01)


async def test_absolute_urls_ignore_what_the_caller_calls_us(room_server: Server) -> None:
    async with room_server.client("read", Host="evil.example") as http:
        answer = await http.get("/room/read", headers={"X-Forwarded-Host": "evil.example"})
    assert answer.text == f"test {room_server.dicomweb}"


async def test_absolute_urls_begin_with_the_public_one(settings: Settings) -> None:
    public = settings.model_copy(update={"public_url": "https://pacs.example/archive/"})
    app = create_app(public)
    app.include_router(room)
    with serving(public, app) as server:
        async with server.client("read") as http:
            answer = await http.get("/room/read")
    assert answer.text == "test https://pacs.example/archive/dicomweb"


@pytest.mark.parametrize(
    ("public_url", "base"),
    [
        (None, "https://pacs.example:8443/archive/dicomweb"),
        ("https://public.example", "https://public.example/dicomweb"),
    ],
)
async def test_absolute_urls_begin_with_what_a_trusted_proxy_was_called(
    settings: Settings, public_url: str | None, base: str
) -> None:
    proxied = settings.model_copy(
        update={"public_url": public_url, "trusted_proxies": [ip_network("127.0.0.0/8")]}
    )
    app = create_app(proxied)
    app.include_router(room)
    told = {
        "X-Forwarded-For": "192.0.2.7",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "pacs.example:8443",
        "X-Forwarded-Prefix": "/archive",
    }
    with serving(proxied, app) as server:
        async with server.client("read") as http:
            answer = await http.get("/room/read", headers=told)
        assert answer.text == f"test {base}"
        assert (await records(server))[-1]["client_address"] == "192.0.2.7"


async def test_ready_says_whether_the_archive_can_serve(server: Server) -> None:
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
        assert (await http.get("/health/live")).status_code == 200
        assert (await http.get("/health/ready")).status_code == 200
        assert (await http.head("/health/ready")).status_code == 200
        await execute(server, "UPDATE alembic_version SET version_num = 'another'")
        await asyncio.sleep(1.1)
        answer = await http.get("/health/ready")
        assert answer.status_code == 503
        assert answer.text == "not ready\n"
        assert (await http.get("/health/live")).status_code == 200


async def test_the_server_keeps_a_connection_after_a_refusal(room_server: Server) -> None:
    """A viewer has six connections; losing one to each 404 would cost it dearly."""
    token = await room_server.token("read")
    address = urlsplit(room_server.url)
    assert address.hostname
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    request = (
        f"GET /dicomweb/room/missing HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\n\r\n"
    )
    for _ in range(3):
        writer.write(request.encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 404")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
    writer.close()
    await writer.wait_closed()
