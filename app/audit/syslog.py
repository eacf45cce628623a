"""`SyslogReceiver`: audit messages of DICOM as syslog over TLS (RFC 5424, RFC 5425).

Syslog acknowledges nothing. What TCP has taken may still be lost with the receiver. So each batch
is a connection of its own that is closed by us with close_notify, which the receiver answers (RFC
5425, 4.4) when it has read everything before: only then the batch has arrived.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from app.audit.message import message_of
from app.audit.receivers import SEND_SECONDS, Sent, tls_of
from app.audit.telling import instant
from app.index.audits import StoredRecord
from app.outgoing.addresses import AddressRefused, Destinations
from app.outgoing.delivery import deliver
from app.outgoing.sockets import connect
from app.settings import Audit

PORT = 6514
PRIORITY = 10 * 8 + 5
"""Security or authorization; a notice."""
MESSAGE_ID = "DICOM+RFC3881"
BOM = b"\xef\xbb\xbf"


def frame_of(record: StoredRecord, source: str, host: str) -> bytes:
    """The record as a syslog message with its length before it."""
    head = f"<{PRIORITY}>1 {instant(record.at)} {host} hilum {os.getpid()} {MESSAGE_ID} - "
    message = head.encode() + BOM + message_of(record, source)
    return b"%d %s" % (len(message), message)


class SyslogReceiver:
    """A receiver of syslog."""

    def __init__(
        self, address: str, settings: Audit, source: str, destinations: Destinations
    ) -> None:
        parts = urlsplit(address)
        self._host, self._port = parts.hostname or "", parts.port or PORT
        self._destinations = destinations
        self._tls = tls_of(settings)
        self._source = source
        self._own_host = _printable(socket.gethostname())

    async def send(self, records: Sequence[StoredRecord]) -> Sent:
        """All of them, or none."""
        frames = b"".join(frame_of(one, self._source, self._own_host) for one in records)
        connected: list[socket.socket] = []
        try:
            await asyncio.to_thread(self._deliver, frames, connected)
        except asyncio.CancelledError:
            for one in connected:
                # That it is closed would not wake who waits for it.
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
            raise
        except AddressRefused as error:
            return Sent(0, str(error))
        except OSError as error:
            reason = error.reason if isinstance(error, ssl.SSLError) else None
            return Sent(0, reason or type(error).__name__)
        return Sent(len(records))

    async def close(self) -> None:
        """There is nothing left open."""

    def _deliver(self, frames: bytes, connected: list[socket.socket]) -> None:
        """Return when the receiver has read everything. Raises `AddressRefused` and `OSError`."""
        with connect(self._destinations, self._host, self._port, SEND_SECONDS / 2) as plain:
            plain.settimeout(SEND_SECONDS)
            connected.append(plain)
            deliver(plain, self._tls, self._host, frames)


def _printable(host: str) -> str:
    """As RFC 5424 allows it; a hyphen for what it does not."""
    return host if host and host.isascii() and host.isprintable() and len(host) < 256 else "-"
