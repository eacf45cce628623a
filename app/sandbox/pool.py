"""`Sandbox`: a few child processes that do what must not hang, crash or fill up this one.

    image = await sandbox.run(render, frame, ...)     # a function of a module, values that pickle

Rules:
- Children are started when they are needed, up to a number, and kept; a job never waits for one to
  start while another is free. They are started by exec, so that nothing of this process (locks,
  connections, the event loop, secrets in the environment) is theirs.
- A job that takes too long, or whose caller gives up, takes its child with it.
- A child that ends spoils its own job only. With this process all of them end: an idle one sees its
  socket close, one at work is ended by the limit on its time.
"""

import asyncio
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from app import errors
from app.errors import ArchiveError, TooBusy, TooLarge, Unprocessable
from app.sandbox.child import DONE, LENGTH, READY, REFUSED, REPLY

_TELLABLE: dict[str, type[ArchiveError]] = {
    kind.__name__: kind
    for kind in (errors.BadRequest, errors.NotAcceptable, TooLarge, Unprocessable)
}
"""Errors that a child can raise here; one of another kind is raised as its nearest of these."""

_ROOT = str(Path(errors.__file__).parents[1])
_KEPT_OF_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "LANG")
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
_BUFFER_BYTES = 1024 * 1024
_START_SECONDS = 60


class ChildFailed(Exception):
    """A job raised what nobody expected; the text is the traceback of the child."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one job may take."""

    seconds: int
    """By the clock, and of the processor."""
    memory_bytes: int
    """Beyond what a child takes at rest. Also the most bytes of a result."""


class Sandbox:
    """Runs jobs in at most `size` child processes at once, and lets the others wait a while."""

    def __init__(
        self, size: int, allowance: Allowance, *, queue_seconds: float, modules: Sequence[str] = ()
    ) -> None:
        """`modules`: imported by each child before its first job."""
        self._size = size
        self._allowance = allowance
        self._queue_seconds = queue_seconds
        self._modules = modules
        self._children: set[_Child] = set()
        self._idle: asyncio.LifoQueue[_Child] = asyncio.LifoQueue()
        self._waiting = 0
        self._starts: set[asyncio.Task[None]] = set()
        self._log = structlog.get_logger()

    async def run(self, job: Callable[..., bytes], *arguments: object) -> bytes:
        """The result of `job(*arguments)`.

        Raises what the job raises, if that is an `ArchiveError` about what it was given;
        `Unprocessable` if the job crashed or took too long; `TooBusy` if no child was free in time;
        `ChildFailed` for anything else.
        """
        request = pickle.dumps((job, arguments), protocol=5)
        child = await self._free_child()
        while child.has_ended:
            await self._remove(child)
            child = await self._free_child()
        kept = False
        try:
            kind, body = await child.ask(request, self._allowance)
            kept = kind in {DONE, REFUSED}
        except _Ended as ended:
            raise Unprocessable(ended.why) from None
        finally:
            if kept:
                self._idle.put_nowait(child)
            else:
                await self._remove(child)
        return _result(kind, body)

    async def close(self) -> None:
        """End every child, whatever it is doing."""
        self._size = 0
        await asyncio.gather(*self._starts)
        while not self._idle.empty():
            await self._remove(self._idle.get_nowait())
        for child in self._children:
            child.kill()  # its job fails, and sees it gone

    async def _free_child(self) -> "_Child":
        self._waiting += 1
        try:
            self._start_if_needed()
            async with asyncio.timeout(self._queue_seconds):
                return await self._idle.get()
        except TimeoutError:
            raise TooBusy from None
        finally:
            self._waiting -= 1

    def _start_if_needed(self) -> None:
        starting = len(self._starts)
        if self._idle.qsize() + starting < self._waiting and (
            len(self._children) + starting < self._size
        ):
            task = asyncio.create_task(self._start())
            self._starts.add(task)
            task.add_done_callback(self._starts.discard)

    async def _start(self) -> None:
        try:
            child = await asyncio.to_thread(_Child, self._allowance, self._modules)
        except OSError as error:
            self._log.error("sandbox.start", why=error.strerror)
            return
        try:
            await child.ready()
        except _Ended as ended:
            await child.end()
            self._log.error("sandbox.start", why=ended.why)
        else:
            self._children.add(child)
            self._idle.put_nowait(child)

    async def _remove(self, child: "_Child") -> None:
        self._children.discard(child)
        await child.end()
        if self._waiting:
            self._start_if_needed()


class _Ended(Exception):
    """The child is there no more, or will not be."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class _Child:
    """One child process and the socket to it."""

    def __init__(self, allowance: Allowance, modules: Sequence[str]) -> None:
        """Start it. Raises `OSError` where the system does not let us."""
        self._channel, theirs = socket.socketpair()
        for end in (self._channel, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
        self._channel.setblocking(False)
        limits = str(allowance.seconds), str(allowance.memory_bytes)
        with theirs, ExitStack() as on_failure:
            on_failure.callback(self._channel.close)
            self._process = subprocess.Popen(  # noqa: S603  nothing in it is a caller's
                [sys.executable, "-P", "-m", "app.sandbox.child", *limits, *modules],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=_environment(),
                process_group=0,  # the terminal's Ctrl-C is not for it
            )
            on_failure.pop_all()

    @property
    def has_ended(self) -> bool:
        """Whether it is gone, as when the system has run out of memory."""
        return self._process.poll() is not None

    async def ready(self) -> None:
        """Return when the first job can be given. Raises `_Ended`."""
        try:
            async with asyncio.timeout(_START_SECONDS):
                kind, _ = await self._reply(0)
        except TimeoutError:
            raise _Ended("it did not start in time") from None
        except OSError:
            raise _Ended(f"it ended with code {self._process.poll()}") from None
        if kind != READY:
            raise _Ended("it began with what is no greeting")

    async def ask(self, request: bytes, allowance: Allowance) -> tuple[bytes, bytes]:
        """The kind and the body of its reply. Raises `_Ended`; the child cannot be used then."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(allowance.seconds):
                await loop.sock_sendall(self._channel, LENGTH.pack(len(request)))
                await loop.sock_sendall(self._channel, request)
                return await self._reply(allowance.memory_bytes)
        except TimeoutError:
            raise _Ended(_TOO_LONG.format(allowance.seconds)) from None
        except OSError:
            raise _Ended(await self._why(allowance)) from None

    async def end(self) -> None:
        """Kill it, if it lives, and see that it is gone. No job may be waiting for its reply."""
        self._channel.close()
        self.kill()
        await asyncio.to_thread(self._process.wait)

    def kill(self) -> None:
        """Kill it, if it lives."""
        self._process.kill()

    async def _reply(self, most: int) -> tuple[bytes, bytes]:
        kind, length = REPLY.unpack(await self._received(REPLY.size))
        if length > most:
            raise _Ended("Its result is larger than any can be.")
        return kind, await self._received(length)

    async def _received(self, length: int) -> bytes:
        loop = asyncio.get_running_loop()
        data = bytearray(length)
        rest = memoryview(data)
        while rest:
            count = await loop.sock_recv_into(self._channel, rest)
            if not count:
                raise ConnectionResetError
            rest = rest[count:]
        return bytes(data)

    async def _why(self, allowance: Allowance) -> str:
        """Why it ended by itself."""
        code = await asyncio.to_thread(self._process.wait)
        if code == -signal.SIGXCPU:
            return _TOO_LONG.format(allowance.seconds)
        return "The frame cannot be decoded: its decoder crashed."


_TOO_LONG = "The frame cannot be decoded within {} seconds."


def _result(kind: bytes, body: bytes) -> bytes:
    if kind == DONE:
        return body
    if kind == REFUSED:
        try:
            told: dict[str, Any] = json.loads(body)
            known = [_TELLABLE[name] for name in told["kinds"] if name in _TELLABLE]
            error = (known or [Unprocessable])[0](str(told["detail"]))
        except (ValueError, TypeError, KeyError) as what:
            raise ChildFailed("It replied with what is no error.") from what
        raise error
    raise ChildFailed(body.decode("utf-8", "replace"))


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT_OF_ENVIRONMENT if name in os.environ}
    return kept | _ONE_THREAD | {"PYTHONPATH": _ROOT}
