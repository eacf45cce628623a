"""Which addresses may be called."""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.outgoing.addresses import AddressRefused, Destinations

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "2606:4700::1111",
    "2001:4860:4860::8888",
    "64:ff9b::8.8.8.8",
    "::ffff:8.8.8.8",
]
NOT_PUBLIC = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.1.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:0:10.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b:1::10.0.0.1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:a00:1::",
    "2002:7f00:1::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%lo",
    "fec0::1",
    "ff02::1",
]
METADATA = [
    "169.254.169.254",
    "::ffff:169.254.169.254",
    "64:ff9b::169.254.169.254",
    "169.254.170.2",
    "100.100.100.200",
    "168.63.129.16",
    "fd00:ec2::254",
    "fd20:ce::254",
]
CARRYING_METADATA = [
    "::169.254.169.254",
    "::ffff:0:169.254.169.254",
    "::ffff:169.254.169.254%1",
    "64:ff9b:1::169.254.169.254",
    "64:ff9b:1:a9fe:a9:fe00::",
    "2002:a9fe:a9fe::1",
    "2002:6464:64c8::",
    "2001:0:a9fe:a9fe::",
    "2001:0:4136:e378:8000:63bf:5601:5601",
    "fe80::5efe:169.254.169.254",
    "fe80::200:5efe:169.254.169.254%1",
    "2001:db8:122:344::169.254.169.254",
    "2001:db8:a9fe:a9fe::",
    "2001:db8:1a9:fea9:fe::",
    "2001:db8:122:a9fe:a9:fe00::",
    "2001:db8:122:3a9:fe:a9fe::",
    "2001:db8:122:344:a9:fea9:fe00:0",
]
"""As it is carried by IPv6: at the end, by 6to4, Teredo and ISATAP, and behind prefixes of NAT64 of
32 to 96 bits."""
EVERYWHERE = Destinations((ip_network("0.0.0.0/0"), ip_network("::/0")))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_called(address: str) -> None:
    assert Destinations().allow(ip_address(address))


@pytest.mark.parametrize("address", [*NOT_PUBLIC, *METADATA])
def test_others_may_not(address: str) -> None:
    assert not Destinations().allow(ip_address(address))


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_others_may_if_they_are_listed(address: str) -> None:
    assert EVERYWHERE.allow(ip_address(address))


@pytest.mark.parametrize("address", METADATA)
def test_metadata_of_a_machine_has_to_be_listed_by_itself(address: str) -> None:
    assert not EVERYWHERE.allow(ip_address(address))
    assert not Destinations((ip_network("169.254.169.254/31"),)).allow(ip_address(address))
    meant = address.removeprefix("::ffff:").removeprefix("64:ff9b::")
    assert Destinations((ip_network(meant),)).allow(ip_address(address))


@pytest.mark.parametrize("address", CARRYING_METADATA)
def test_metadata_is_known_in_whatever_form_ipv6_carries_its_address(address: str) -> None:
    assert not EVERYWHERE.allow(ip_address(address))
    alone = Destinations((*EVERYWHERE.networks, ip_network(address.partition("%")[0])))
    assert not alone.allow(ip_address(address)), "it is the address inside that has to be listed"
    listed = map(ip_network, ("169.254.169.254", "100.100.100.200"))
    assert Destinations((*EVERYWHERE.networks, *listed)).allow(ip_address(address))


def test_a_zone_makes_no_other_address_of_it() -> None:
    assert not EVERYWHERE.allow(ip_address("fd00:ec2::254%1"))


@given(st.ip_addresses(v=4))
def test_the_forms_of_an_address_are_judged_alike(address: IPv4Address) -> None:
    for destinations in (Destinations(), Destinations((ip_network("10.0.0.0/8"),))):
        allowed = destinations.allow(address)
        assert destinations.allow(IPv6Address(f"::ffff:{address}")) is allowed
        assert destinations.allow(IPv6Address(f"64:ff9b::{address}")) is allowed


@given(st.ip_addresses(v=6))
def test_nothing_but_global_unicast_is_called_over_ipv6(address: IPv6Address) -> None:
    inside = address.ipv4_mapped or address in ip_network("64:ff9b::/96")
    if Destinations().allow(address) and not inside:
        assert address in ip_network("2000::/3")
        assert address.is_global


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0", "::1", "localhost"),
        *("169.254.169.254", "::ffff:169.254.169.254", "2852039166", "0xa9fea9fe"),
    ],
)
def test_odd_forms_are_judged_as_the_system_reads_them(host: str) -> None:
    with pytest.raises(AddressRefused, match="HILUM_OUTGOING_NETWORKS"):
        Destinations().addresses_of(host, 443)


@pytest.mark.parametrize("host", ["a..example", "x" * 64 + ".example", "\udcff.example"])
def test_what_is_no_name_has_no_address(host: str) -> None:
    with pytest.raises(OSError, match=r"."):
        Destinations().addresses_of(host, 443)


@pytest.mark.parametrize("others", [["10.0.0.1"], ["8.8.4.4", "::1"], ["169.254.169.254"]])
def test_one_bad_address_of_a_name_is_enough(
    others: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = ["8.8.8.8", *others]

    def look_up(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 443)) for one in told]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(AddressRefused, match=others[-1]):
        Destinations().addresses_of("mixed.example", 443)
    told[1:] = ["8.8.4.4"]
    assert Destinations().addresses_of("mixed.example", 443) == ["8.8.8.8", "8.8.4.4"]
