"""HTTP as bytes on a socket, for what no client would send."""

import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; no status if the connection was closed without any."""

    status: int | None
    headers: dict[str, str]
    body: bytes


class RawConnection:
    """One connection to a server."""

    def __init__(self, url: str, *, seconds: float = 10) -> None:
        """`seconds`: how long to wait for anything."""
        at = urlsplit(url)
        assert at.hostname is not None
        assert at.port is not None
        self.socket = socket.create_connection((at.hostname, at.port), timeout=seconds)
        self._received = b""

    def send(self, *pieces: bytes) -> None:
        """Send the pieces; what the server does not want to have any more is lost."""
        for piece in pieces:
            try:
                self.socket.sendall(piece)
            except (BrokenPipeError, ConnectionResetError):
                return

    def receive(self) -> Answer:
        """The next answer, but for those that say 100."""
        head = self._until(b"\r\n\r\n")
        if not head:
            return Answer(None, {}, b"")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        status = int(status_line.split(" ")[1])
        if status == 100:
            return self.receive()
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
        }
        while len(self._received) < int(headers.get("content-length", 0)) and self._more():
            pass
        length = int(headers.get("content-length", len(self._received)))
        body, self._received = self._received[:length], self._received[length:]
        return Answer(status, headers, body)

    def wait_until_wanted(self) -> None:
        """Return when the server asks for the body of a request that says `Expect`."""
        assert self._until(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")

    def seconds_to_the_end(self) -> float:
        """How long it takes until the server closes the connection."""
        begin = time.monotonic()
        while self._more():
            self._received = b""
        return time.monotonic() - begin

    def _until(self, end: bytes) -> bytes:
        while end not in self._received:
            if not self._more():
                return b""
        head, _, self._received = self._received.partition(end)
        return head

    def _more(self) -> bool:
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            return False
        self._received += data
        return bool(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def request(
    method: str, path: str, headers: Iterable[str] = (), body: bytes = b"", *, token: str = ""
) -> bytes:
    """The bytes of a request; a Content-Length is there only if the headers have one."""
    lines = [f"{method} {path} HTTP/1.1", "Host: archive", *headers]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def chunked(*chunks: bytes) -> bytes:
    """A body in chunks."""
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
