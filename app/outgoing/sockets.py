"""`connect`: a TCP connection to an address of a host that may be connected to."""

import socket
from contextlib import suppress

from app.outgoing.addresses import Destinations


def connect(destinations: Destinations, host: str, port: int, seconds: float) -> socket.socket:
    """Connect to the first address that answers, within so many seconds for all of them.

    Raises `AddressRefused` before anything is sent, and `OSError`.
    """
    addresses = destinations.addresses_of(host, port)
    share = seconds / len(addresses)
    for address in addresses[:-1]:
        with suppress(OSError):
            return _connected(address, port, share)
    return _connected(addresses[-1], port, share)


def _connected(address: str, port: int, seconds: float) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.settimeout(seconds)
        made.connect((address, port))
    except OSError:
        made.close()
        raise
    return made
