"""What is delivered over TLS has arrived when the other side says so, and not when it ends."""

import asyncio
import select
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import pytest

from app.outgoing.delivery import deliver
from tests.fixtures.feeds import Certificates, certificates

Result = TypeVar("Result")

DATA = b"x" * 100_000


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("certificates"))


class Receiver:
    """One connection, with what comes in it under the control of a test."""

    def __init__(self, signed: Certificates, version: ssl.TLSVersion) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(signed.server)
        context.maximum_version = version
        self._coming, self._going = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._secure = context.wrap_bio(self._coming, self._going, server_side=True)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = self._listening.getsockname()
        self.received = b""

    def accept(self, *, reads: bool, says_so: bool = True, waits: bool = True) -> None:
        """Shake hands; read everything or nothing of what comes, answer or not, and close."""
        with self._listening, self._listening.accept()[0] as self._plain:
            self._plain.settimeout(20)
            self._step(self._secure.do_handshake)
            if waits:
                self._plain.sendall(self._going.read())
                select.select([self._plain], [], [], 20)
            with suppress(ssl.SSLZeroReturnError):
                while reads and (some := self._step(lambda: self._secure.read(65536))):
                    self.received += some
            if says_so:
                with suppress(ssl.SSLWantReadError):
                    self._secure.unwrap()
            self._plain.sendall(self._going.read())

    def _step(self, step: Callable[[], Result]) -> Result:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self._plain.sendall(self._going.read())
                # No more than is asked for, so that the rest stays unread.
                self._coming.write(self._plain.recv(1))


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


async def delivered_to(receiver: Receiver, signed: Certificates) -> None:
    tls = ssl.create_default_context(cafile=signed.authority)
    with socket.create_connection(receiver.address, timeout=20) as connected:
        await asyncio.to_thread(deliver, connected, tls, "127.0.0.1", DATA)


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_is_read_and_answered_has_arrived(
    signed: Certificates, version: ssl.TLSVersion
) -> None:
    receiver = Receiver(signed, version)
    receiving = asyncio.create_task(asyncio.to_thread(receiver.accept, reads=True))
    await delivered_to(receiver, signed)
    await receiving
    assert receiver.received == DATA


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("reads", "says_so"), [(False, True), (False, False), (True, False)])
async def test_what_is_not_read_or_not_answered_has_not(
    signed: Certificates, version: ssl.TLSVersion, reads: bool, says_so: bool
) -> None:
    """As when a receiver is ended while somebody is sending."""
    receiver = Receiver(signed, version)
    accepting = asyncio.to_thread(receiver.accept, reads=reads, says_so=says_so)
    receiving = asyncio.create_task(accepting)
    with pytest.raises(OSError, match=r"."):
        await delivered_to(receiver, signed)
    await receiving


async def test_who_ends_before_anything_is_sent_has_nothing(signed: Certificates) -> None:
    """With TLS 1.2 the receiver ends the handshake, and may end the rest with it."""
    receiver = Receiver(signed, ssl.TLSVersion.TLSv1_2)
    receiving = asyncio.create_task(asyncio.to_thread(receiver.accept, reads=False, waits=False))
    with pytest.raises(ConnectionAbortedError):
        await delivered_to(receiver, signed)
    await receiving
