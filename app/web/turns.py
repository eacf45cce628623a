"""`Loop`: the event loop of one of several processes that listen on the same socket.

Whoever is first takes a new connection, and by itself an event loop takes all that wait at once: of
the six or eight that a viewer opens together one process would get most, and do all the work while
the others idle. Here each takes one, and leaves the next for a moment to those who have less to do.
"""

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any

import structlog
import uvloop

PAUSE_SECONDS = 0.001
"""Between two connections that one process takes: long for those who wait for them idly, and short
for who opens one."""
EXHAUSTED_SECONDS = 1.0
"""Until it is tried again, when there is no room for another connection."""

_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}

Protocols = Callable[[], asyncio.BaseProtocol]


class Listener:
    """Takes the connections of one listening socket, one at a time; uvicorn's idea of a server."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, protocols: Protocols, listening: socket.socket
    ) -> None:
        """Begin; `protocols` makes the protocol of each connection."""
        self._loop = loop
        self._protocols = protocols
        self._socket: socket.socket | None = listening
        self._connecting: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None
        self._listen()

    def close(self) -> None:
        """Take no more; the socket is its owner's."""
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._socket = None
        if self._pause is not None:
            self._pause.cancel()

    async def wait_closed(self) -> None:
        """Return when those that were taken have their protocols."""
        if self._connecting:
            await asyncio.wait(self._connecting)

    def _listen(self) -> None:
        if self._socket is not None:
            self._loop.add_reader(self._socket, self._take)

    def _take(self) -> None:
        assert self._socket is not None
        pause = PAUSE_SECONDS
        try:
            connection, _ = self._socket.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another process has taken it, or it has gone
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                raise
            structlog.get_logger().error("no connection can be taken", error=error.strerror)
            pause = EXHAUSTED_SECONDS
        else:
            task = self._loop.create_task(self._connect(connection))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)
        self._loop.remove_reader(self._socket)
        self._pause = self._loop.call_later(pause, self._listen)

    async def _connect(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        try:
            await self._loop.connect_accepted_socket(self._protocols, connection)
        except OSError:  # it has gone already
            connection.close()


class Loop(uvloop.Loop):
    """As uvicorn's setting `loop` names it."""

    async def create_server(  # type: ignore[override]
        self, protocol_factory: Protocols, *, sock: socket.socket, backlog: int, **_: Any
    ) -> Listener:
        """As uvicorn asks for it, of a socket that is there."""
        sock.setblocking(False)
        sock.listen(backlog)
        return Listener(self, protocol_factory, sock)
