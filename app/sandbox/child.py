"""The child process: does one job after another, each within limits, until its parent is gone.

    request     8 bytes of length, then the pickled function and its arguments
    reply       1 byte of kind, 8 bytes of length, then the result, or an error as JSON

Rules:
- A child decodes bytes that may be made to break its decoders, so its word is not trusted: a reply
  is bytes and never a pickle.
- It holds no secret and can leave nothing behind: its environment is empty, it writes no file and
  no core.
- Limits begin anew with each job. Who exceeds the memory is told so, if the decoder survives that;
  who exceeds the time is ended by the system, also when the parent is there no more.
"""

import json
import pickle
import resource
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from app.errors import ArchiveError, TooLarge

READY, DONE, REFUSED, FAILED = b"R", b"D", b"E", b"F"
LENGTH = struct.Struct(">Q")
REPLY = struct.Struct(">cQ")

_OPEN_FILES = 64
_STATM = Path("/proc/self/statm")


def main() -> None:
    """Serve on standard input, a socket; arguments: seconds, bytes, modules to import."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to understand
    seconds, memory, *modules = sys.argv[1:]
    for module in modules:
        import_module(module)
    _forbid_files()
    channel = socket.socket(fileno=0)
    channel.sendall(REPLY.pack(READY, 0))
    while request := _request(channel):
        _limit(int(seconds), int(memory))
        kind, body = _done(request)
        channel.sendall(REPLY.pack(kind, len(body)) + body)


def _request(channel: socket.socket) -> bytearray | None:
    """The next request, or None when there will be none."""
    head = _received(channel, LENGTH.size)
    return None if head is None else _received(channel, *LENGTH.unpack(head))


def _received(channel: socket.socket, length: int) -> bytearray | None:
    data = bytearray(length)
    rest = memoryview(data)
    while rest:
        count = channel.recv_into(rest)
        if not count:
            return None
        rest = rest[count:]
    return data


def _done(request: bytearray) -> tuple[bytes, bytes]:
    try:
        job: Callable[..., bytes]
        arguments: tuple[Any, ...]
        job, arguments = pickle.loads(request)  # noqa: S301  from our parent alone
        return DONE, job(*arguments)
    except MemoryError:
        return REFUSED, _told(TooLarge("It takes more memory than one frame may."))
    except ArchiveError as error:
        return REFUSED, _told(error)
    except Exception:
        return FAILED, traceback.format_exc().encode("utf-8", "replace")


def _told(error: ArchiveError) -> bytes:
    """The names of the error's classes, the closest first, and what it says."""
    kinds = [kind.__name__ for kind in type(error).__mro__]
    return json.dumps({"kinds": kinds, "detail": str(error)}).encode()


def _forbid_files() -> None:
    """Nothing is written, and nothing of a patient is in a core file."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))


def _limit(seconds: int, memory: int) -> None:
    """So much more of the processor and of memory than until now."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _soft(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + 1 + seconds)
    if _STATM.exists():
        pages = int(_STATM.read_bytes().split()[0])
        _soft(resource.RLIMIT_AS, pages * resource.getpagesize() + memory)


def _soft(which: int, limit: int) -> None:
    _, hard = resource.getrlimit(which)
    most = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(which, (most, hard))


if __name__ == "__main__":
    main()
