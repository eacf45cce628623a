"""`Destinations`: which addresses may be connected to, whatever name leads there.

    public addresses               always
    others                         if a network of the settings has them
    metadata of a cloud's machine  if the settings list that very address

Rules:
- A name is looked up once, and the connection goes to what was checked then: what the name leads to
  a moment later does not matter.
- All addresses of a name have to be allowed, or none of them is called.
- An IPv4 address inside an IPv6 one (mapped, or for NAT64) is judged as what it leads to.
- Wherever else an IPv6 address may carry the IPv4 address of such metadata, it is taken for it:
  whether a router on the way unpacks it is not known here.
"""

import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import httpx

from app.settings import Settings

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

SETTING = "HILUM_OUTGOING_NETWORKS"

_NOT_PUBLIC = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
)
"""Of IPv4, and of what IPv6 has in `_UNICAST` (IANA's registries of special-purpose addresses)."""
_METADATA = (
    "100.100.100.200",
    "168.63.129.16",
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "192.0.0.192",
    "fd00:ec2::23",
    "fd00:ec2::254",
    "fd20:ce::254",
)
"""Who asks there is given the machine's own credentials."""

_SPECIAL = tuple(map(ip_network, _NOT_PUBLIC))
_UNICAST = ip_network("2000::/3")
_NAT64 = ip_network("64:ff9b::/96")
_CREDENTIALS = frozenset(map(ip_address, _METADATA))


class AddressRefused(httpx.ConnectError):
    """A name leads to an address that may not be connected to. The message names the setting."""


@dataclass(frozen=True, slots=True)
class Destinations:
    """Where connections may go; `networks` besides to public addresses."""

    networks: tuple[Network, ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> "Destinations":
        """Those that the settings allow."""
        return cls(tuple(settings.outgoing_networks))

    def allow(self, address: Address) -> bool:
        """Whether this address may be connected to."""
        if led_to := _CREDENTIALS.intersection(_carried(address)):
            alone = {network[0] for network in self.networks if network.num_addresses == 1}
            return led_to <= alone
        address = _meant(address)
        return _is_public(address) or any(address in network for network in self.networks)

    def addresses_of(self, host: str, port: int) -> Sequence[str]:
        """The addresses of a host, as the system looks them up, the best one first.

        Raises `AddressRefused`, and `OSError` if there are none.
        """
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except UnicodeError as error:
            raise OSError(f"{host} is no name of a host") from error
        addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
        for address in addresses:
            if not self.allow(ip_address(address)):
                raise AddressRefused(f"{host} is at {address}, which {SETTING} does not allow")
        return addresses


def _carried(address: Address) -> Iterator[Address]:
    """The address, and of one of IPv6 what may be an IPv4 address in it.

    That is at its end, as in mapped, compatible and translated ones, or inverted there (Teredo, RFC
    4380), behind 2002 (6to4, RFC 3056), or behind a prefix of a NAT64 (RFC 6052, 2.2).
    """
    if isinstance(address, IPv4Address):
        yield address
        return
    octets = address.packed
    yield IPv6Address(octets)  # without its zone, which is of no concern here
    yield IPv4Address(octets[12:])
    yield IPv4Address(bytes(0xFF - octet for octet in octets[12:]))
    yield IPv4Address(octets[2:6])
    unreserved = octets[:8] + octets[9:]
    for first in range(4, 9):
        yield IPv4Address(unreserved[first : first + 4])


def _meant(address: Address) -> Address:
    """The address that packets to this one reach."""
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address
    return address


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in _UNICAST:
        return False
    return not any(address in network for network in _SPECIAL)
