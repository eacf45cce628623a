"""`TrustedProxies`: who asks, and under which address, as a proxy that is trusted tells it.

    X-Forwarded-For, -Proto, -Host, -Port, -Prefix      or      Forwarded (RFC 7239)

Rules:
- Only what comes from a trusted address is believed, and of it what trusted proxies have added:
  lists are read from their end, as long as the one who is named there is a trusted proxy too.
- Only one of the two kinds of headers is read, the one that is configured: a proxy lets those pass
  that it does not know, and these are the caller's word.
- What is malformed is as if it were not there. Without the name of a host there is no address.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

from app.settings import ForwardedHeaders

Network = IPv4Network | IPv6Network
Headers = Sequence[tuple[bytes, bytes]]
Hop = Mapping[str, str]
"""What one proxy tells: `for`, `proto`, `host`, `port` and `prefix`, each if it does."""

ORIGIN = "public_origin"
"""In the state of a request: scheme, host and prefix of the address that the caller used."""
BY_PROXY = "by_proxy"
"""In the state of a request: true if it came straight from a trusted proxy."""

_HOST = re.compile(r"(?:[0-9A-Za-z._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_PREFIX = re.compile(r"(?:/[0-9A-Za-z._~-]+)*")
_HAS_PORT = re.compile(r":[0-9]+$")
_ELEMENT = re.compile(r'(?:[^",]|"[^"]*")+')
_PAIR = re.compile(r'([0-9A-Za-z-]+)=(?:"([^"]*)"|([^\s",;]*))')
_WHOLE_ELEMENT = re.compile(rf"(?:{_PAIR.pattern}\s*(?:;\s*|\Z))*")
_PORTS = {"http": "80", "https": "443"}
_X_FORWARDED = {
    name: f"x-forwarded-{name}".encode() for name in ("for", "proto", "host", "port", "prefix")
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asked the outermost of the trusted proxies, and how."""

    address: str | None
    origin: str | None
    """Scheme, host and prefix, without a slash at the end; None if it is not told whole."""


class TrustedProxies:
    """Puts the caller's address and the address called into the scope, if a proxy is trusted."""

    def __init__(self, app: ASGIApp, trusted: Sequence[Network], kind: ForwardedHeaders) -> None:
        self._app = app
        self._hops = _forwarded if kind is ForwardedHeaders.FORWARDED else _x_forwarded
        self._is_trusted = _memory_of(trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        peer = scope.get("client")
        if scope["type"] == "http" and peer is not None and self._is_trusted(peer[0]):
            state = scope.setdefault("state", {})
            state[BY_PROXY] = True
            caller = self._caller(scope["headers"])
            if caller.address is not None:
                scope["client"] = (caller.address, 0)
            if caller.origin is not None:
                state[ORIGIN] = caller.origin
        await self._app(scope, receive, send)

    def _caller(self, headers: Headers) -> Caller:
        told: Hop = {}
        for hop in self._hops(headers):
            told = {**told, **hop}
            if not self._is_trusted(hop.get("for", "")):
                break
        address = _address(told.get("for", ""))
        return Caller(str(address) if address else None, _origin(told))


def _memory_of(trusted: Sequence[Network]) -> Callable[[str], bool]:
    """Whether an address is that of a trusted proxy; remembered, since it is always the same."""

    @lru_cache(maxsize=1024)
    def is_trusted(text: str) -> bool:
        address = _address(text)
        return address is not None and any(address in network for network in trusted)

    return is_trusted


def _forwarded(headers: Headers) -> Iterator[Hop]:
    """What each proxy tells by Forwarded, the nearest first."""
    elements = [e for value in _values(headers, b"forwarded") for e in _ELEMENT.findall(value)]
    for element in reversed(elements):
        if not _WHOLE_ELEMENT.fullmatch(element.strip()):
            # As where a quotation mark of the caller's pairs with the first one of the proxy's.
            yield {}
            return
        pairs = {name.lower(): quoted or bare for name, quoted, bare in _PAIR.findall(element)}
        yield {name: pairs[name] for name in ("for", "proto", "host") if name in pairs}


def _x_forwarded(headers: Headers) -> Iterator[Hop]:
    """What each proxy tells by X-Forwarded-…, the nearest first.

    Who overwrites a list that others append to leaves it shorter than that of addresses.
    """
    lists = {
        name: [one.strip() for value in _values(headers, header) for one in value.split(",")]
        for name, header in _X_FORWARDED.items()
    }
    for hop in range(1, max(map(len, lists.values())) + 1):
        yield {name: values[-hop] for name, values in lists.items() if hop <= len(values)}


def _values(headers: Headers, wanted: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in headers if name == wanted]


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """The address in `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1` or `[2001:db8::1]:80`."""
    bracketed = re.match(r"\[(.*)\]", text)
    if bracketed is not None:
        text = bracketed[1]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _origin(told: Hop) -> str | None:
    scheme, host, port = told.get("proto", "").lower(), told.get("host", ""), told.get("port")
    prefix = told.get("prefix", "").rstrip("/")
    if scheme not in _PORTS or not _HOST.fullmatch(host) or not _PREFIX.fullmatch(prefix):
        return None
    if port and port.isdecimal() and port != _PORTS[scheme] and not _HAS_PORT.search(host):
        host = f"{host}:{port}"
    return f"{scheme}://{host}{prefix}"
