"""`hilum serve` as a process of its own, as an operator has it: to be started, ended and killed."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from app.index.unprivileged import Identity

ROOT = Path(__file__).parents[1]
START_SECONDS = 30
STOP_SECONDS = 20
ADDRESS = re.compile(r"Hilum serves DICOMweb at (http\S+)")
TOKEN = re.compile(r"^ +(hilum_\S+)$", re.MULTILINE)


class ArchiveProcess:
    """An archive over `data_dir`, on a free port, that knows nothing of who runs the tests."""

    def __init__(self, data_dir: Path, **settings: str) -> None:
        self.data_dir = data_dir
        own = {"HILUM_DATA_DIR": str(data_dir), "HILUM_PORT": "0", "HILUM_WORKERS": "1"}
        self._settings = own | settings
        self._log = data_dir.with_name(f"{data_dir.name}.log")
        self._process: subprocess.Popen[bytes] | None = None
        self.token: str | None = None
        """The access token that a start has shown, if one has."""

    def start(self, identity: Identity | None = None) -> None:
        """Start it, and wait until it is ready."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("HILUM_")}
        environment = inherited | {"PYTHONPATH": str(ROOT)} | self._settings
        command = [sys.executable, "-m", "app", "serve"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self._log.parent,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=identity.enter if identity else None,  # noqa: PLW1509
            )
        self._wait_until_ready(self._process)
        shown = TOKEN.search(self.output)
        self.token = shown[1] if shown else self.token

    @property
    def output(self) -> str:
        """What the latest start has printed."""
        return self._log.read_text()

    @property
    def base(self) -> str:
        """The DICOMweb base, as the archive tells it."""
        address = ADDRESS.search(self.output)
        assert address is not None, self.output
        return address[1]

    def client(self) -> httpx.Client:
        """A client that sends the token; its paths begin below the base."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.Client(base_url=self.base, headers=headers, trust_env=False, timeout=60)

    def interrupt(self) -> int:
        """Press Ctrl-C; the exit code."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGINT)
        return self._process.wait(STOP_SECONDS)

    @property
    def pid(self) -> int:
        """The process that was started; workers are its children."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """kill -9 of that process alone."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def kill_everything(self) -> None:
        """kill -9 of the archive, its workers and its PostgreSQL, at once."""
        assert self._process is not None
        for leader in (self._process.pid, self.postgres_pid):
            if leader is not None:
                os.killpg(leader, signal.SIGKILL)
        self._process.wait()

    @property
    def postgres_pid(self) -> int | None:
        """The embedded PostgreSQL, if one runs."""
        try:
            return int((self.data_dir / "postgres/cluster/postmaster.pid").read_text().split()[0])
        except FileNotFoundError:
            return None

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            if address := ADDRESS.search(self.output):
                ready = address[1].replace("/dicomweb", "/health/ready")
                if httpx.get(ready, trust_env=False, timeout=START_SECONDS).is_success:
                    return
            time.sleep(0.05)
        self.kill()
        raise AssertionError(f"the archive does not start: {self.output[-2000:]}")

    def __enter__(self) -> Self:
        if self._process is None:
            self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self.interrupt()
