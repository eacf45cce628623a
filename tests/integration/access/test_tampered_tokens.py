"""Whatever is done to a token: 401, told how to come in, and nothing asked of anybody."""

import asyncio
import base64
import json
from collections.abc import Iterator

import pytest

from tests.fixtures.server import Server

INJECTION = "x' UNION SELECT 'y"


def encoded(value: dict[str, object] | bytes) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwt(header: dict[str, object], signature: bytes = b"x" * 32) -> str:
    """A token as an identity provider would make it, but for the signature."""
    claims = {"iss": "https://issuer.example", "sub": "admin", "scope": "admin", "exp": 2**32}
    return f"{encoded(header)}.{encoded(claims)}.{encoded(signature)}"


def tampered(token: str, canary: str) -> Iterator[tuple[str, str]]:
    """Authorization headers that must not let anybody in."""
    yield "cut", f"Bearer {token[:-1]}"
    yield "longer", f"Bearer {token}A"
    yield "other case", f"Bearer {token.swapcase()}"
    yield "without prefix", f"Bearer {token.removeprefix('hilum_')}"
    yield "other prefix", f"Bearer other_{token.removeprefix('hilum_')}"
    yield "its hash", f"Bearer hilum_{'0' * 64}"
    yield "padded", f"Bearer {token}="
    yield "quoted", f'Bearer "{token}"'
    yield "twice", f"Bearer {token} {token}"
    yield "list", f"Bearer {token},{token}"
    yield "null", f"Bearer {token}%00"
    yield "wild card", "Bearer hilum_*"
    yield "like", "Bearer hilum_%"
    yield "injection", "Bearer ' OR '1'='1"
    yield "path", "Bearer ../../etc/passwd"
    yield "latin", "Bearer hilum_\u00e4\u00f6\u00fc"
    yield "no scheme", token
    yield "other scheme", f"Digest {token}"
    yield "negotiate", "Negotiate YII="
    yield "basic without colon", "Basic " + base64.b64encode(token.encode()).decode()
    yield "basic as user", "Basic " + base64.b64encode(f"{token}:".encode()).decode()
    yield "basic broken", "Basic ====="
    yield "alg none", f"Bearer {jwt({'alg': 'none'}, b'')}"
    yield "alg None", f"Bearer {jwt({'alg': 'None'})}"
    yield "alg HS256", f"Bearer {jwt({'alg': 'HS256'})}"
    yield "alg missing", f"Bearer {jwt({})}"
    yield "unknown kid", f"Bearer {jwt({'alg': 'RS256', 'kid': 'nobody'})}"
    yield "kid path", f"Bearer {jwt({'alg': 'RS256', 'kid': '../../x'})}"
    yield "kid injection", f"Bearer {jwt({'alg': 'RS256', 'kid': INJECTION})}"
    yield "crit", f"Bearer {jwt({'alg': 'RS256', 'crit': ['exp']})}"
    yield "jku", f"Bearer {jwt({'alg': 'RS256', 'jku': canary})}"
    yield "x5u", f"Bearer {jwt({'alg': 'RS256', 'x5u': canary})}"
    yield "jwk", f"Bearer {jwt({'alg': 'RS256', 'jwk': {'kty': 'oct', 'k': 'eA'}})}"
    yield "encrypted", f"Bearer {encoded({'alg': 'dir', 'enc': 'A128GCM'})}....x"
    yield "not base64", "Bearer a.b.c"
    yield "dots", "Bearer ...."


@pytest.fixture(scope="module")
async def token(populated: Server) -> str:
    return await populated.token("admin")


async def asked(server: Server, *headers: bytes) -> tuple[int, bytes]:
    """The status and the head of the answer to these header lines, which no client would send."""
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = [b"GET /dicomweb/studies HTTP/1.1", b"Host: h", b"Connection: close", *headers]
    writer.write(b"\r\n".join(lines) + b"\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return int(answer.split(b" ")[1]), answer.partition(b"\r\n\r\n")[0].lower()


async def test_the_token_itself_is_good(populated: Server, token: str) -> None:
    assert (await asked(populated, f"Authorization: Bearer {token}".encode()))[0] == 200


async def test_a_tampered_token_is_refused_and_nothing_is_fetched(
    populated: Server, token: str
) -> None:
    fetched: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fetched.append((await reader.readline()).decode())
        writer.close()

    canary = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{canary.sockets[0].getsockname()[1]}/keys"
    async with canary:
        for what, header in tampered(token, url):
            status, head = await asked(populated, b"Authorization: " + header.encode("latin-1"))
            assert status == 401, what
            assert b'www-authenticate: bearer realm="hilum"' in head, what
    assert fetched == []


@pytest.mark.parametrize("size", [5_000, 16_000, 1_000_000])
async def test_a_huge_token_is_refused(populated: Server, size: int) -> None:
    """Answered, or hung up on while it is still being sent."""
    try:
        status, _ = await asked(populated, b"Authorization: Bearer hilum_" + b"x" * size)
    except ConnectionResetError:
        assert size > 100_000
    else:
        assert status in {400, 401, 431}


async def test_of_two_tokens_the_wrong_one_lets_nobody_in(populated: Server, token: str) -> None:
    good, bad = f"Authorization: Bearer {token}".encode(), b"Authorization: Bearer hilum_x"
    assert (await asked(populated, bad, good))[0] == 401
    assert (await asked(populated, good, bad))[0] == 401
