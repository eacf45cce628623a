"""Processes that listen on one socket take turns."""

import asyncio
import errno
import os
import socket
from collections.abc import Callable, Iterator
from typing import cast

import pytest

from app.web import turns

CONNECTIONS = 5


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=CONNECTIONS) as listener:
        yield listener


@pytest.fixture
def waiting(listening: socket.socket) -> Iterator[list[socket.socket]]:
    """Connections that nobody has taken yet."""
    address = listening.getsockname()
    opened = [socket.create_connection(address, 5) for _ in range(CONNECTIONS)]
    yield opened
    for one in opened:
        one.close()


class Greeting(asyncio.Protocol):
    made = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        Greeting.made += 1
        cast(asyncio.Transport, transport).write(b"taken")
        transport.close()


def serve(listening: socket.socket, until: Callable[[], bool], *, seconds: float = 5) -> int:
    """Take connections until that is so; how many were taken."""

    async def taking() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Greeting, sock=listening, backlog=CONNECTIONS)
        async with asyncio.timeout(seconds):
            while not until():
                await asyncio.sleep(0.001)
        server.close()
        await server.wait_closed()

    Greeting.made = 0
    with asyncio.Runner(loop_factory=turns.Loop) as runner:
        runner.run(taking())
    return Greeting.made


def test_one_is_taken_and_the_others_are_left_for_a_moment(
    listening: socket.socket, waiting: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "PAUSE_SECONDS", 60)
    assert serve(listening, lambda: Greeting.made > 0) == 1
    assert len(waiting) == CONNECTIONS
    assert serve(listening, lambda: Greeting.made > 0) == 1


def test_who_is_alone_takes_them_all(
    listening: socket.socket, waiting: list[socket.socket]
) -> None:
    assert serve(listening, lambda: Greeting.made == CONNECTIONS) == CONNECTIONS
    for one in waiting:
        assert one.recv(10) == b"taken"


def test_where_there_is_no_room_it_is_tried_again(
    listening: socket.socket, waiting: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "EXHAUSTED_SECONDS", 0.01)
    refusals = [OSError(number, os.strerror(number)) for number in (errno.EMFILE, errno.ENOBUFS)]

    class Full(socket.socket):
        def accept(self) -> tuple[socket.socket, object]:
            if refusals:
                raise refusals.pop()
            return super().accept()

    with Full(fileno=os.dup(listening.fileno())) as full:
        assert serve(full, lambda: Greeting.made == len(waiting)) == CONNECTIONS
    assert refusals == []


def test_what_another_process_has_taken_is_passed_over(listening: socket.socket) -> None:
    accepted: list[socket.socket] = []

    class Late(socket.socket):
        def accept(self) -> tuple[socket.socket, object]:
            if not accepted:
                accepted.append(listening.accept()[0])
            return super().accept()

    with (
        Late(fileno=os.dup(listening.fileno())) as late,
        socket.create_connection(listening.getsockname(), 5),
    ):
        assert serve(late, lambda: bool(accepted)) == 0
    accepted[0].close()
