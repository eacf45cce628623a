"""A process from which servers are forked: they start in a tenth of a second, and are killed often.

It reads an order a line, as JSON, and answers with the number and the port of a server; each serves
as `hilum serve` does, on its own port, until somebody ends it.
"""

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from subprocess import PIPE, Popen
from types import TracebackType
from typing import Any, Self

import httpx
import uvicorn

import app.main  # noqa: F401  (what takes long to import is imported once)
from app.cli import serve
from app.cli.environment import read_settings
from app.faults import arm
from app.index.unprivileged import die_with_parent

ROOT = Path(__file__).parents[2]
START_SECONDS = 30
END_SECONDS = 30
DYING_SECONDS = 5
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class ServerProcess:
    """A server that can be killed, stopped, let go on, or asked to end."""

    def __init__(self, pid: int, port: int, log: Path) -> None:
        self.pid = pid
        self.base = f"http://127.0.0.1:{port}/dicomweb"
        self.log = log

    @property
    def lives(self) -> bool:
        """Whether it is still there."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    @property
    def is_stopped(self) -> bool:
        """Whether it stands still, after a SIGSTOP."""
        return self.state_of(self.pid) == "T"

    @staticmethod
    def state_of(pid: int) -> str:
        """What the system says that a process is doing: R, S, T for stopped, Z for dead."""
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it is still there."""
        if self.lives:
            os.kill(self.pid, number)

    def has_died(self) -> bool:
        """Whether it is gone; one whose connections are broken may take a moment to be."""
        deadline = time.monotonic() + DYING_SECONDS
        while self.lives and time.monotonic() < deadline:
            time.sleep(0.005)
        return not self.lives

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send it a signal and wait until it has gone."""
        self.send(number)
        deadline = time.monotonic() + END_SECONDS
        while self.lives:
            assert time.monotonic() < deadline, f"it does not end: {self.said}"
            time.sleep(0.005)

    @property
    def open_files(self) -> int:
        """Files and connections that it has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    @property
    def memory(self) -> int:
        """Bytes that it has in memory."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * PAGE_BYTES

    @property
    def said(self) -> str:
        """The end of its log."""
        return self.log.read_text()[-3000:]

    def wait_until_ready(self) -> None:
        """Return when it serves."""
        assert self.comes_to_say("ready", 200), f"it does not start: {self.said}"

    def comes_to_say(self, probe: str, status: int) -> bool:
        """Whether the probe, `live` or `ready`, is answered so, now or in a while."""
        address = self.base.replace("/dicomweb", f"/health/{probe}")
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.lives:
            try:
                if httpx.get(address, trust_env=False, timeout=5).status_code == status:
                    return True
            except httpx.TransportError:
                pass
            time.sleep(0.01)
        return False


class Nursery:
    """Starts servers; a context manager, at whose end all of them are gone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._servers: list[ServerProcess] = []
        self._process: Popen[str] | None = None

    def start(
        self, settings: dict[str, str], fault: str | None = None, last_seconds: float = 10
    ) -> ServerProcess:
        """A server with these variables in its environment, armed with this fault; ready.

        `last_seconds`: how long requests may go on after it was asked to end.
        """
        self._count += 1
        log = self._folder / f"server{self._count}.log"
        order = {
            "settings": settings,
            "fault": fault,
            "last_seconds": last_seconds,
            "log": str(log),
        }
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        pid, port = json.loads(process.stdout.readline())
        server = ServerProcess(pid, port, log)
        self._servers.append(server)
        server.wait_until_ready()
        return server

    def end_all(self) -> None:
        """kill -9 of every server that is still there."""
        for server in self._servers:
            server.send(signal.SIGKILL)
        self._servers.clear()

    def __enter__(self) -> Self:
        others = {k: v for k, v in os.environ.items() if not k.startswith(("HILUM_", "AWS_"))}
        self._process = Popen(
            [sys.executable, "-m", "tests.faults.nursery"],
            cwd=self._folder,
            env=others | {"PYTHONPATH": str(ROOT)},
            stdin=PIPE,
            stdout=PIPE,
            text=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self.end_all()
        self._process.communicate()


def main() -> None:
    """Fork a server for each order."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are not waited for
    parent = os.getpid()
    for line in sys.stdin:
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            die_with_parent(signal.SIGKILL, parent)
            _serve(json.loads(line), listener)
            os._exit(0)
        print(json.dumps([pid, listener.getsockname()[1]]), flush=True)
        listener.close()


def _serve(order: dict[str, Any], listener: socket.socket) -> None:
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, file in enumerate((nothing, log, log)):
        os.dup2(file, number)
    os.environ.update(order["settings"])
    arm(order["fault"])
    serve.LAST_REQUESTS_SECONDS = order["last_seconds"]
    uvicorn.Server(serve.Worker(read_settings())).run([listener])


if __name__ == "__main__":
    main()
