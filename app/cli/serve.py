"""`hilum serve`: from an empty folder to a serving archive, and cleanly back.

The order matters. The port is taken first, so that a clash is told before anything is touched; then
the database starts, is migrated, and has its first token; then the workers serve. They end in the
opposite order, and all of it also when this process is killed: the system then ends the workers and
the embedded PostgreSQL, and the next start recovers.
"""

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from app.access import development
from app.access.tokens import ensure_first_token
from app.archive import open_archive
from app.cli.environment import BadSettings, dicomweb_base, own_database, read_settings
from app.cli.tokens import with_index
from app.errors import ArchiveError
from app.index import migrate
from app.index.unprivileged import die_with_parent
from app.settings import Settings
from app.web.protocol import GuardedProtocol

APPLICATION = "app.main:create_app"
LOOP_OF_SEVERAL = "app.web.turns:Loop"
BACKLOG = 2048
KEEP_ALIVE_SECONDS = 75
"""More than the minute that balancers keep an idle connection, so that they close first."""
LAST_REQUESTS_SECONDS = 10
"""How long requests may go on after Ctrl-C."""
STUCK_SECONDS = 60
"""A worker that has not answered its supervisor for so long is replaced."""

GREETING = """
Hilum serves DICOMweb at {base} (Ctrl-C ends it)
{token}
Try, in another terminal:

  export TOKEN={example}
  curl -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/dicom" \\
       --data-binary @image.dcm {base}/studies
  curl -H "Authorization: Bearer $TOKEN" "{base}/studies?PatientName=D*"
  curl -H "Authorization: Bearer $TOKEN" -H "Accept: image/png" -o image.png \\
       {base}/studies/STUDY/series/SERIES/instances/INSTANCE/rendered
"""
GREETING_OF_DEVELOPMENT = """
Hilum serves DICOMweb at {base} (Ctrl-C ends it)

{announcement}
{token}
Try, in another terminal:

  curl -H "Content-Type: application/dicom" --data-binary @image.dcm {base}/studies
  curl "{base}/studies?PatientName=D*"
"""
SHOWN_ONCE = """
The first administrator's access token, shown only this once:

  {}
"""


class PortTaken(ArchiveError):
    """The port is in use."""


class Worker(uvicorn.Config):
    """How each process serves."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(
            APPLICATION,
            factory=True,
            workers=settings.processes,
            loop="auto" if settings.processes == 1 else LOOP_OF_SEVERAL,
            http=GuardedProtocol,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # who the caller is must not be the caller's word
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=LAST_REQUESTS_SECONDS,
            timeout_worker_healthcheck=STUCK_SECONDS,
        )
        self.limits = settings.limits
        self._supervisor = os.getpid()

    def load(self) -> None:
        """Called in the process that serves, before it does."""
        if os.getpid() != self._supervisor:
            die_with_parent(signal.SIGTERM, self._supervisor)
        super().load()
        # What is there by now stays; to look through it for garbage again and again would hold up
        # everybody for a tenth of a second each time.
        gc.collect()
        gc.freeze()


def serve() -> None:
    """Start the archive and serve until Ctrl-C."""
    settings = read_settings()
    development.check(settings)
    signal.signal(signal.SIGTERM, _interrupt)
    os.umask(0o077)  # whatever we write may tell of a patient
    with suppress(KeyboardInterrupt), _listening(settings) as listener:
        base = dicomweb_base(settings, listener.getsockname()[1])
        with own_database(settings) as url:
            asyncio.run(_try(settings))
            migrate.upgrade(url)
            chosen = settings.admin_token.get_secret_value() if settings.admin_token else None
            token = with_index(url, lambda index: ensure_first_token(index, chosen))
            print(_greeting(settings, base, token), flush=True)
            _serve(Worker(settings), listener)


async def _try(settings: Settings) -> None:
    """Open the archive once here, where what is wrong with the settings can be said plainly."""
    try:
        archive = await open_archive(settings)
    except ValueError as error:
        raise BadSettings(str(error)) from None
    await archive.close()


def _serve(worker: Worker, listener: socket.socket) -> None:
    if worker.workers == 1:
        uvicorn.Server(worker).run([listener])
        return
    supervisor = Multiprocess(worker, [listener])
    supervisor.run()
    if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
        sys.exit(STARTUP_FAILURE)


@contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    """A socket that takes connections from now on; they wait until a worker answers."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server(
            (settings.host, settings.port), family=family, backlog=BACKLOG
        )
    except OSError as error:
        why = str(error.strerror).partition(" (while")[0]
        raise PortTaken(
            f"Cannot listen on {settings.host} port {settings.port}: {why}. "
            "Set HILUM_PORT or HILUM_HOST to another."
        ) from None
    with listener:
        listener.set_inheritable(True)
        yield listener


def _greeting(settings: Settings, base: str, new_token: str | None) -> str:
    text = GREETING_OF_DEVELOPMENT if settings.development else GREETING
    return text.format(
        base=base,
        announcement=development.ANNOUNCEMENT,
        token=SHOWN_ONCE.format(new_token) if new_token else "",
        example=new_token or "...",
    )


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt
