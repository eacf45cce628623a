"""Real calls to servers on loopback: who is called, by whose word, how much and how long."""

import asyncio
import gzip
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.outgoing import client as outgoing
from app.outgoing.addresses import AddressRefused, Destinations
from app.outgoing.client import client
from app.outgoing.sockets import connect
from tests.fixtures.feeds import certificates

HERE = Destinations((ip_network("127.0.0.1"),))
SAYS_HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"


class Listening:
    """A server on loopback that notes what it was asked, and answers always the same."""

    def __init__(self) -> None:
        self.answer = SAYS_HELLO
        self.connections = 0
        self.asked: list[bytes] = []
        self.port = 0
        self.serving: list[asyncio.Task[None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self.serving.append(task)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            self.asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(self.answer)
            await writer.drain()
            if b"Connection: close" not in self.answer:
                await reader.read()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@asynccontextmanager
async def listening(
    host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Listening]:
    here = Listening()
    server = await asyncio.start_server(here.serve, host, port, ssl=tls)
    here.port = server.sockets[0].getsockname()[1]
    try:
        yield here
    finally:
        server.close()
        await asyncio.gather(*here.serving)
        await server.wait_closed()


async def test_this_machine_is_called_only_if_it_is_listed() -> None:
    async with listening() as here:
        async with client(Destinations(), seconds=5) as http:
            with pytest.raises(AddressRefused, match=r"127\.0\.0\.1.*HILUM_OUTGOING_NETWORKS"):
                await http.get(here.url)
        with pytest.raises(AddressRefused):
            connect(Destinations(), "localhost", here.port, 5)
        assert here.connections == 0
        async with client(HERE, seconds=5) as http:
            answer = await http.get(here.url)
    assert (answer.status_code, answer.content, here.connections) == (200, b"hello", 1)


async def test_only_what_is_encrypted_leaves_this_machine() -> None:
    everywhere = Destinations((ip_network("0.0.0.0/0"),))
    async with client(everywhere, seconds=5) as http:
        for address in ("http://10.0.0.1/", "http://8.8.8.8/", "ftp://127.0.0.1/", "file:///etc"):
            with pytest.raises(httpx.UnsupportedProtocol):
                await http.get(address)


async def test_nobody_sends_us_elsewhere() -> None:
    async with listening() as here, listening() as elsewhere:
        here.answer = (
            b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n"
            b"Connection: close\r\n\r\n" % elsewhere.url.encode()
        )
        async with client(HERE, seconds=5) as http:
            assert (await http.get(here.url)).status_code == 302
        assert elsewhere.connections == 0


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening() as here, listening() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        async with client(HERE, seconds=5) as http:
            assert (await http.get(here.url)).text == "hello"
        assert proxy.connections == 0


class Names:
    """A resolver that gives each of these answers once, and then the last one again."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    def __call__(self, host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        self.asked += 1
        told = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in told]


def told_by(destinations: Destinations, port: int) -> bytes:
    """What a server says to who connects by a socket."""
    with connect(destinations, "localhost", port, 5) as plain:
        plain.sendall(b"\r\n\r\n")
        return plain.makefile("rb").read()


async def test_a_name_that_turns_around_leads_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """127.0.0.2 stands for the address that may be called, 127.0.0.1 for the one that may not."""
    destinations = Destinations((ip_network("127.0.0.2"),))
    async with listening("127.0.0.2") as good, listening("127.0.0.1", good.port) as bad:
        names = Names(["127.0.0.2"], ["127.0.0.1"])
        monkeypatch.setattr(socket, "getaddrinfo", names)
        async with client(destinations, seconds=5) as http:
            assert (await http.get(f"http://localhost:{good.port}/")).text == "hello"
            assert names.asked == 1
            with pytest.raises(AddressRefused):
                await http.get(f"http://localhost:{good.port}/")
        names.answers = [["127.0.0.2"], ["127.0.0.1"]]
        assert await asyncio.to_thread(told_by, destinations, good.port) == SAYS_HELLO
        with pytest.raises(AddressRefused):
            await asyncio.to_thread(told_by, destinations, good.port)
        async with client(Destinations((ip_network("127.0.0.0/30"),)), seconds=5) as http:
            for one in ("127.0.0.1", "127.0.0.2"):
                names.answers = [[one]]
                await http.get(f"http://localhost:{good.port}/")
        assert (good.connections, bad.connections) == (3, 1), "ours alone came to the other one"


async def test_another_address_is_tried_where_nobody_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both = Destinations((ip_network("127.0.0.0/30"),))
    async with listening("127.0.0.2") as here:
        monkeypatch.setattr(socket, "getaddrinfo", Names(["127.0.0.1", "127.0.0.2"]))
        async with client(both, seconds=5) as http:
            assert (await http.get(f"http://localhost:{here.port}/")).text == "hello"
        assert await asyncio.to_thread(told_by, both, here.port) == SAYS_HELLO


async def test_the_certificate_is_that_of_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 127.0.0.1, as it happens; another name at the same address is not believed."""
    signed = certificates(tmp_path)
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(signed.server)
    names: list[str | None] = []
    ours.sni_callback = lambda _, name, __: names.append(name)
    believed = ssl.create_default_context(cafile=signed.authority)
    async with listening(tls=ours) as here, client(HERE, seconds=5, tls=believed) as http:
        assert (await http.get(f"https://127.0.0.1:{here.port}/")).text == "hello"
        assert b"Host: 127.0.0.1" in here.asked[0]
        monkeypatch.setattr(socket, "getaddrinfo", Names(["127.0.0.1"]))
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await http.get(f"https://provider.example:{here.port}/")
    assert names[-1] == "provider.example"


def with_body(body: bytes, *headers: bytes) -> bytes:
    head = [b"HTTP/1.1 200 OK", b"Connection: close", *headers]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (with_body(b"x" * (outgoing.LARGEST_BYTES + 1)), httpx.ReadError),
        (
            with_body(gzip.compress(b"x" * 10_000_000), b"Content-Encoding: gzip"),
            httpx.DecodingError,
        ),
        (with_body(b"x", b"Content-Length: 2"), httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nx", httpx.ReadTimeout),
        (b"HTTP/1.1 200 OK\r\n", httpx.TimeoutException),
        (b"nonsense\r\n\r\n", httpx.RemoteProtocolError),
    ],
    ids=["long", "compressed", "short", "without an end", "without a beginning", "nonsense"],
)
async def test_an_answer_has_an_end(answer: bytes, error: type[Exception]) -> None:
    async with listening() as here, client(HERE, seconds=1) as http:
        here.answer = answer
        with pytest.raises(error):
            await http.get(here.url)
        assert b"Accept-Encoding: identity" in here.asked[0]


async def test_the_longest_answer_is_taken_whole() -> None:
    async with listening() as here, client(HERE, seconds=5) as http:
        here.answer = with_body(b"x" * outgoing.LARGEST_BYTES)
        assert len((await http.get(here.url)).content) == outgoing.LARGEST_BYTES


async def test_an_answer_that_trickles_is_given_up() -> None:
    """Each byte comes in time, and all of them never would."""

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        with suppress(ConnectionError):
            while not reader.at_eof():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.05)
        writer.close()

    server = await asyncio.start_server(trickle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, client(HERE, seconds=0.5) as http:
        with pytest.raises(httpx.ReadTimeout):
            await http.get(f"http://127.0.0.1:{port}/")
