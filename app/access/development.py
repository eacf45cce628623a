"""Development mode: whoever asks from this machine without a token administrates.

Rules:
- The archive does not start with it unless all that it listens on is this machine's own (loopback),
  and nothing says that others reach it: no trusted proxy, no public URL elsewhere.
- What is presented is judged as always: a token that is not good lets nobody in.
- What is done so is recorded as done by `development`, and whatever greets tells of the mode.

Which requests come from this machine, and for no page of others, `app.web.development` decides.
"""

import socket
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

from app.access.principal import Principal, Scope
from app.errors import ArchiveError
from app.settings import Settings

NAME = "development"
"""What logs and the audit call who comes so."""
ANNOUNCEMENT = (
    "DEVELOPMENT MODE: whoever asks from this machine without a token administrates the archive."
)
LOCAL_NAME = "localhost"


class NotForDevelopment(ArchiveError):
    """Development mode is for this machine alone."""


def principal_of(partition_id: int) -> Principal:
    """Who asks without a token."""
    return Principal(None, NAME, partition_id, frozenset({Scope.ADMIN}))


def check(settings: Settings) -> None:
    """Raise `NotForDevelopment` if the mode is on and others than this machine could come."""
    if not settings.development:
        return
    if not _listens_here_alone(settings.host):
        raise NotForDevelopment(
            "HILUM_DEVELOPMENT lets in who has no token, so HILUM_HOST has to be this machine's own"
            f" (127.0.0.1, ::1 or localhost), not {settings.host!r}."
        )
    if settings.trusted_proxies:
        raise NotForDevelopment(
            "HILUM_DEVELOPMENT lets in who has no token, so there can be no HILUM_TRUSTED_PROXIES."
        )
    if settings.public_url is not None and not is_local(urlsplit(settings.public_url).hostname):
        raise NotForDevelopment(
            "HILUM_DEVELOPMENT lets in who has no token, so HILUM_PUBLIC_URL has to be left out, or"
            " name this machine."
        )


def is_local(host: str | None) -> bool:
    """Whether a name or an address is this machine's own, whatever a resolver says of it."""
    return host is not None and (host.lower() == LOCAL_NAME or is_loopback(host))


def is_loopback(address: str) -> bool:
    """Whether it is an address of 127.0.0.0/8, or ::1."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return found.is_loopback


def _listens_here_alone(host: str) -> bool:
    """Whether every address that the name stands for is this machine's own."""
    try:
        found = socket.getaddrinfo(host or None, None, flags=socket.AI_PASSIVE)
    except OSError:
        return False
    return all(is_loopback(str(address[0])) for *_, address in found)
