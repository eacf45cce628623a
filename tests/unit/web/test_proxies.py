"""Trusted proxies are believed, and nobody else, whatever headers there are."""

from ipaddress import ip_network
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from app.settings import ForwardedHeaders
from app.web.proxies import ORIGIN, TrustedProxies
from tests.unit.web.asgi import Call, scope

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")]


async def seen(
    headers: dict[str, str],
    peer: str = "10.0.0.1",
    kind: ForwardedHeaders = ForwardedHeaders.X_FORWARDED,
) -> tuple[str, str | None]:
    """Whom and what the application sees."""
    inner: dict[str, Any] = {}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        inner.update(scope)

    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    await Call()(TrustedProxies(app, TRUSTED, kind), scope(headers=raw, client=(peer, 5), state={}))
    return inner["client"][0], inner["state"].get(ORIGIN)


def x(**headers: str) -> dict[str, str]:
    return {f"X-Forwarded-{name.rstrip('_')}": value for name, value in headers.items()}


HTTPS = {"Proto": "https", "Host": "pacs.example"}


@pytest.mark.parametrize(
    ("headers", "address", "origin"),
    [
        (x(For="192.0.2.7", **HTTPS), "192.0.2.7", "https://pacs.example"),
        (x(For="192.0.2.7:4711", **HTTPS), "192.0.2.7", "https://pacs.example"),
        (x(For="192.0.2.7", Port="8443", **HTTPS), "192.0.2.7", "https://pacs.example:8443"),
        (x(For="192.0.2.7", Port="443", **HTTPS), "192.0.2.7", "https://pacs.example"),
        (x(For="192.0.2.7", Prefix="/archive/", **HTTPS), "192.0.2.7",
         "https://pacs.example/archive"),
        (x(For="2001:db9::1", Proto="http", Host="[::1]:80"), "2001:db9::1", "http://[::1]:80"),
        # Of a list that callers can begin, what the proxy has added.
        (x(For="1.1.1.1, 192.0.2.7", **HTTPS), "192.0.2.7", "https://pacs.example"),
        (x(For="192.0.2.7", Proto="ftp, https", Host="evil.example, pacs.example"), "192.0.2.7",
         "https://pacs.example"),
        # A second proxy, which is trusted too, stands before this one.
        (x(For="1.1.1.1, 192.0.2.7, 10.0.0.2", Proto="https, http", Host="pacs.example, inner"),
         "192.0.2.7", "https://pacs.example"),
        (x(For="192.0.2.7, 10.0.0.2", **HTTPS), "192.0.2.7", "https://pacs.example"),
        (x(For="10.0.0.3, 10.0.0.2", **HTTPS), "10.0.0.3", "https://pacs.example"),
        # What is not told, or told badly.
        ({}, "10.0.0.1", None),
        (x(For="192.0.2.7"), "192.0.2.7", None),
        (x(For="192.0.2.7", Proto="https"), "192.0.2.7", None),
        (x(For="unknown", **HTTPS), "10.0.0.1", "https://pacs.example"),
        (x(**HTTPS), "10.0.0.1", "https://pacs.example"),
        (x(For="192.0.2.7", Proto="javascript", Host="pacs.example"), "192.0.2.7", None),
        (x(For="192.0.2.7", Proto="https", Host='e"vil'), "192.0.2.7", None),
        (x(For="192.0.2.7", Proto="https", Host="a/b"), "192.0.2.7", None),
        (x(For="192.0.2.7", Prefix="/a/../b c", **HTTPS), "192.0.2.7", None),
        # The other kind of header is the caller's word.
        ({"Forwarded": "for=192.0.2.7;host=evil.example;proto=https"}, "10.0.0.1", None),
    ],
)  # fmt: skip
async def test_x_forwarded(headers: dict[str, str], address: str, origin: str | None) -> None:
    assert await seen(headers) == (address, origin)


@pytest.mark.parametrize(
    ("value", "address", "origin"),
    [
        ("for=192.0.2.7;proto=https;host=pacs.example", "192.0.2.7", "https://pacs.example"),
        ('For="[2001:db9::1]:4711"; Proto=HTTPS; Host="pacs.example:8443"', "2001:db9::1",
         "https://pacs.example:8443"),
        ("for=1.1.1.1;host=evil.example;proto=https, for=192.0.2.7;host=pacs.example;proto=http",
         "192.0.2.7", "http://pacs.example"),
        ("for=192.0.2.7;host=pacs.example;proto=https, for=10.0.0.2;host=inner;proto=http",
         "192.0.2.7", "https://pacs.example"),
        ('for="_hidden, for=10.0.0.9";host=pacs.example;proto=https', "10.0.0.1",
         "https://pacs.example"),
        ("for=192.0.2.7", "192.0.2.7", None),
        (",,;;=,", "10.0.0.1", None),
        # The caller has left a quotation mark open for the first one of the proxy.
        ('for=10.9.9.9;host=evil.example;proto=https;x=", for="[2001:db9::1]"', "10.0.0.1", None),
        ('for=1.1.1.1;x=", for="[2001:db9::1]:80";host="pacs.example"', "10.0.0.1", None),
    ],
)  # fmt: skip
async def test_forwarded(value: str, address: str, origin: str | None) -> None:
    headers = {"Forwarded": value, "X-Forwarded-Host": "evil.example", "X-Forwarded-For": "1.1.1.1"}
    assert await seen(headers, kind=ForwardedHeaders.FORWARDED) == (address, origin)


@pytest.mark.parametrize("peer", ["192.0.2.9", "::1", "11.0.0.1"])
async def test_nobody_else_is_believed(peer: str) -> None:
    assert await seen(x(For="1.1.1.1", **HTTPS), peer) == (peer, None)


@pytest.mark.parametrize("peer", ["10.255.0.1", "2001:db8::7", "::ffff:10.0.0.1"])
async def test_a_network_is_trusted_as_a_whole(peer: str) -> None:
    assert await seen(x(For="1.1.1.1", **HTTPS), peer) == ("1.1.1.1", "https://pacs.example")
