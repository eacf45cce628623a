"""`deliver`: bytes over TLS, and the other side's word that it has read all of them.

That is its close_notify, and that it then closes the connection in order.

- `SSLSocket.unwrap` takes an alert for it, with which somebody may just have refused us: with
  TLS 1.3 that comes after our handshake has ended, and what we sent is lost. So we close our side
  first, and then read what comes.
- Who ends says so too, whatever has come: but with bytes that were not read, TCP resets the
  connection.
"""

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

Result = TypeVar("Result")

_READ_BYTES = 65536
_CLOSING_SECONDS = 0.5
"""For which the other side may keep the connection open; else it leaves it to us to close it."""


def deliver(connected: socket.socket, tls: ssl.SSLContext, host: str, data: bytes) -> None:
    """Return when the other side has read everything. Raises `OSError`, of which `SSLError` is one.

    `connected`: to `host`, as its certificate calls it; what is sent or comes next may take as long
    as its timeout.
    """
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    secure = tls.wrap_bio(coming, going, server_hostname=host)

    def done(step: Callable[[], Result]) -> Result:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                connected.sendall(going.read())
                if received := connected.recv(_READ_BYTES):
                    coming.write(received)
                else:
                    coming.write_eof()

    done(secure.do_handshake)
    secure.write(data)
    try:
        secure.unwrap()
    except ssl.SSLWantReadError:
        pass  # nothing has come since the handshake
    else:
        raise ConnectionAbortedError
    with suppress(ssl.SSLZeroReturnError):
        while done(lambda: secure.read(_READ_BYTES)):
            pass
    connected.shutdown(socket.SHUT_WR)
    connected.settimeout(_CLOSING_SECONDS)
    with suppress(TimeoutError):
        while connected.recv(_READ_BYTES):
            pass
