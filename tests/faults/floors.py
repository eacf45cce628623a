"""What an archive stands on, killed with -9 and started again."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.index import migrate
from app.index.embedded import EmbeddedPostgres


class Postgres:
    """A PostgreSQL of its own, as the archive brings it along, with everything durable."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server = EmbeddedPostgres(folder, connections=60)
        self._server.start()
        migrate.upgrade(self.url)

    @property
    def url(self) -> str:
        """Stays the same over kills."""
        return self._server.url

    def kill(self) -> None:
        """kill -9 of the server and of all its processes."""
        assert self._server.pid is not None
        leader = self._server.pid
        children = Path(f"/proc/{leader}/task/{leader}/children").read_text().split()
        for pid in (leader, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._server.stop()

    def start(self) -> None:
        """Start it again, over the same data. From the main thread."""
        self._server = EmbeddedPostgres(self._folder, connections=60)
        self._server.start()

    def stop(self) -> None:
        self._server.stop()


@contextmanager
def postgres_in(folder: Path) -> Iterator[Postgres]:
    """A PostgreSQL as long as the context lasts."""
    postgres = Postgres(folder)
    try:
        yield postgres
    finally:
        postgres.stop()
