"""Which requests come from this machine and for nobody else: they need no token to develop.

A browser on this machine makes requests for pages of anybody, and a program may pass on what others
ask. So a request is let in only if

- both ends of its connection are this machine's own addresses (loopback);
- it was made for a name of this machine: Host, of which there is one, says so. A page of others
  whose name was made to lead here (DNS rebinding) has its own name there;
- its browser does not tell of a page elsewhere, by Origin or by Sec-Fetch-Site. Browsers take
  `localhost` and `127.0.0.1` for different sites: a viewer on the one uses the archive on the one;
- no proxy tells that it was asked by somebody.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.types import Scope

from app.access.development import is_local, is_loopback

_OF_PROXIES = frozenset(
    {
        *(b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"x-cluster-client-ip"),
        *(b"x-original-host", b"x-envoy-external-address", b"true-client-ip"),
        *(b"cf-connecting-ip", b"fastly-client-ip", b"fly-client-ip"),
    }
)
_ALSO_OF_PROXIES = b"x-forwarded"
"""How the names of others begin."""
_ELSEWHERE = b"cross-site"


def comes_from_here(scope: Scope) -> bool:
    """Whether a request may be taken for one of who works on this machine."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    hosts = [value for name, value in headers if name == b"host"]
    return (
        _connects_here_alone(scope)
        and len(hosts) == 1
        and all(_is_named_so(b"//" + host) and b"@" not in host for host in hosts)
        and all(_is_named_so(value) for name, value in headers if name == b"origin")
        and not _is_elsewhere(headers)
    )


def _connects_here_alone(scope: Scope) -> bool:
    ends = scope.get("client"), scope.get("server")
    return all(end is not None and is_loopback(end[0]) for end in ends)


def _is_named_so(address: bytes) -> bool:
    try:
        return is_local(urlsplit(address.decode("latin-1")).hostname)
    except ValueError:
        return False


def _is_elsewhere(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether it is for a page of another site, or was asked of somebody else first."""
    return any(
        _is_of_a_proxy(name) or (name == b"sec-fetch-site" and value.lower() == _ELSEWHERE)
        for name, value in headers
    )


def _is_of_a_proxy(name: bytes) -> bool:
    name = name.replace(b"_", b"-")
    return name in _OF_PROXIES or name.startswith(_ALSO_OF_PROXIES)
