"""Who is too slow, or never comes to an end, is let go; who is merely slow is served."""

import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from app.web import limits as web_limits
from tests.elements import PIXEL_DATA, element, instance
from tests.fixtures.server import FixedSettings, Server, serving
from tests.raw_http import RawConnection, request

HEAD, BODY, STALL = 0.6, 0.6, 1.0
LIMITS = {
    "head_seconds": HEAD,
    "body_idle_seconds": BODY,
    "stall_seconds": STALL,
    "slowest_bytes_per_second": 20_000,
    "uri_bytes": 500,
    "request_header_bytes": 1500,
}
MIB = 1024 * 1024
STORE = ["Content-Type: application/dicom", "Transfer-Encoding: chunked"]


@pytest.fixture(scope="module")
def server(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("protocol")
    values = {"database_url": module_database_url, "data_dir": folder, "limits": LIMITS}
    with serving(FixedSettings.model_validate(values)) as running:
        yield running


@pytest.fixture(scope="module")
async def token(server: Server) -> str:
    return await server.token("store", "read")


@pytest.fixture
def connection(server: Server) -> Iterator[RawConnection]:
    with RawConnection(server.url) as connected:
        yield connected


def search(token: str) -> bytes:
    return request("GET", "/dicomweb/studies?limit=1", token=token)


def test_a_head_that_stalls_is_given_up(connection: RawConnection, token: str) -> None:
    connection.send(search(token)[:-2])
    begin = time.monotonic()
    assert connection.receive().status == 408
    assert HEAD / 2 < time.monotonic() - begin < HEAD + 20
    assert connection.seconds_to_the_end() < 20


def test_a_head_that_comes_byte_by_byte_has_the_same_time(
    connection: RawConnection, token: str
) -> None:
    begin = time.monotonic()
    for byte in search(token)[:-2]:
        connection.send(bytes([byte]))
        time.sleep(0.005)
        if time.monotonic() - begin > HEAD + 1:
            break
    assert connection.receive().status in {408, None}


def test_who_says_nothing_is_let_go(connection: RawConnection) -> None:
    assert HEAD / 2 < connection.seconds_to_the_end() < HEAD + 20


def test_between_requests_one_may_be_silent_for_longer(
    connection: RawConnection, token: str
) -> None:
    for _ in range(2):
        connection.send(search(token))
        assert connection.receive().status == 200
        time.sleep(2 * HEAD)


def test_the_head_of_a_later_request_is_timed_as_well(
    connection: RawConnection, token: str
) -> None:
    connection.send(search(token))
    assert connection.receive().status == 200
    connection.send(search(token)[:-2])
    assert connection.receive().status == 408


@pytest.mark.parametrize(
    ("hosts", "version", "status"),
    [([], "1.1", 400), (["a", "b"], "1.1", 400), (["a", "a"], "1.1", 400), ([], "1.0", 200)],
    ids=str,
)
def test_a_request_is_for_one_host(
    connection: RawConnection, token: str, hosts: list[str], version: str, status: int
) -> None:
    """Of two, a proxy before us may have looked at the other (RFC 9112 3.2)."""
    lines = [f"Host: {host}" for host in hosts] + [f"Authorization: Bearer {token}"]
    head = "\r\n".join([f"GET /dicomweb/studies?limit=1 HTTP/{version}", *lines, "", ""])
    connection.send(head.encode())
    assert connection.receive().status == status


@pytest.mark.parametrize(("version", "first"), [("1.1", b" 100 "), ("1.0", b" 200 ")])
def test_who_speaks_an_older_http_is_not_told_to_go_on(
    connection: RawConnection, server: Server, token: str, version: str, first: bytes
) -> None:
    """It would take that for the answer (RFC 9110 10.1.1)."""
    body = instance()
    lines = [
        f"POST /dicomweb/studies HTTP/{version}",
        f"Host: {server.url.removeprefix('http://')}",
        f"Authorization: Bearer {token}",
        "Content-Type: application/dicom",
        f"Content-Length: {len(body)}",
        "Expect: 100-continue",
        "\r\n",
    ]
    connection.send("\r\n".join(lines).encode(), body)
    assert first in connection.socket.recv(100)


def test_requests_in_a_row_are_answered_in_a_row(connection: RawConnection, token: str) -> None:
    connection.send(search(token) * 3)
    assert [connection.receive().status for _ in range(3)] == [200, 200, 200]


@pytest.mark.parametrize(
    ("what", "status"),
    [
        (b"GET /" + b"x" * 1000, 414),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 10_000, 431),
        (b"GET / HTTP/1.1\r\n" + b"X: x\r\n" * 1000, 431),
    ],
)
def test_a_head_without_an_end_is_cut_off(
    connection: RawConnection, what: bytes, status: int
) -> None:
    connection.send(what)
    assert connection.receive().status == status
    assert connection.seconds_to_the_end() < 20


@pytest.mark.parametrize("length", [501, 8_000, 65_535, 65_536, 80_000, 200_000])
@pytest.mark.parametrize("at_once", [True, False])
def test_an_address_that_is_too_long_is_told_so_whatever_its_length(
    connection: RawConnection, token: str, length: int, *, at_once: bool
) -> None:
    path = "/dicomweb/studies?PatientID="
    whole = request("GET", path.ljust(length, "1"), token=token)
    cut = len(whole) if at_once else len(whole) - 10
    connection.send(whole[:cut], whole[cut:])
    answer = connection.receive()
    assert answer.status == 414
    assert answer.headers["content-type"] == "application/problem+json"
    assert orjson.loads(answer.body)["status"] == 414


@pytest.mark.parametrize(
    "endless", [b"0\r\n" + b"X: x\r\n" * 1000, b"1;" + b"x" * 10_000, b"0" * 10_000]
)
def test_trailers_and_chunks_without_an_end_are_cut_off(
    connection: RawConnection, token: str, endless: bytes
) -> None:
    connection.send(request("POST", "/dicomweb/studies", STORE, token=token))
    time.sleep(0.05)
    connection.send(endless)
    answer = connection.receive()
    assert answer.status in {400, 408, 431, None}
    assert connection.seconds_to_the_end() < HEAD + 20


@pytest.mark.parametrize("at_once", [True, False])
def test_what_comes_behind_the_body_tells_nothing_of_the_request(
    connection: RawConnection, token: str, *, at_once: bool
) -> None:
    """A proxy that has looked at the headers has not looked at the trailers."""
    head = request("POST", "/dicomweb/studies", STORE)
    trailers = f"0\r\nAuthorization: Bearer {token}\r\nHost: x\r\n\r\n".encode()
    connection.send(*([head + trailers] if at_once else [head, trailers]))
    assert connection.receive().status == 401
    # Nor is anything wrong with them.
    connection.send(request("POST", "/dicomweb/studies", STORE, token=token) + trailers)
    assert connection.receive().status == 400
    connection.send(search(token))
    assert connection.receive().status == 200


def test_a_body_that_stalls_is_given_up(connection: RawConnection, token: str) -> None:
    connection.send(request("POST", "/dicomweb/studies", STORE, token=token), b"5\r\nhello\r\n")
    begin = time.monotonic()
    assert connection.receive().status == 408
    assert BODY / 2 < time.monotonic() - begin < BODY + 20


def test_a_body_that_drips_is_given_up(
    connection: RawConnection, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_limits, "SLOW_SECONDS", 0.5)
    connection.send(request("POST", "/dicomweb/studies", STORE, token=token))
    begin = time.monotonic()
    for _ in range(100):
        connection.send(b"1\r\nx\r\n")
        time.sleep(0.02)
        if time.monotonic() - begin > 1:
            break
    assert connection.receive().status == 408


def test_a_body_that_nobody_wants_is_not_read_for_ever(
    connection: RawConnection, token: str
) -> None:
    connection.send(
        request("POST", "/dicomweb/studies", ["Content-Length: 1000000"], token=token), b"x" * 1000
    )
    assert connection.receive().status == 415
    assert connection.seconds_to_the_end() < HEAD + 20


def test_after_an_early_answer_and_the_rest_of_the_body_the_connection_goes_on(
    connection: RawConnection, token: str
) -> None:
    headers = ["Content-Length: 100"]
    connection.send(request("POST", "/dicomweb/studies", headers, b"x" * 50, token=token))
    assert connection.receive().status == 415
    connection.send(b"x" * 50, search(token))
    assert connection.receive().status == 200


@pytest.fixture(scope="module")
async def large(server: Server) -> str:
    """The path of an instance of 16 MiB."""
    body = instance({PIXEL_DATA: element(PIXEL_DATA, "OB", bytes(16 * MIB))})
    async with server.client("store") as client:
        headers = {"Content-Type": "application/dicom"}
        answer = await client.post("/studies", content=body, headers=headers)
    (stored,) = answer.json()["00081199"]["Value"]
    url: str = stored["00081190"]["Value"][0]
    return url.removeprefix(server.url)


def ask_for(connection: RawConnection, large: str, token: str) -> None:
    accept = "Accept: application/dicom; transfer-syntax=*"
    connection.send(request("GET", large, [accept], token=token))


def test_who_takes_nothing_of_an_answer_is_cut_off(
    connection: RawConnection, large: str, token: str
) -> None:
    ask_for(connection, large, token)
    time.sleep(3 * STALL)
    answer = connection.receive()
    assert answer.status == 200
    assert len(answer.body) < 16 * MIB


def test_who_takes_an_answer_slowly_gets_all_of_it(
    connection: RawConnection, large: str, token: str
) -> None:
    ask_for(connection, large, token)
    begin, received = time.monotonic(), 0
    while data := connection.socket.recv(256 * 1024):
        received += len(data)
        if received > 16 * MIB:
            break
        time.sleep(0.05)
    assert received > 16 * MIB
    assert time.monotonic() - begin > 2 * STALL
