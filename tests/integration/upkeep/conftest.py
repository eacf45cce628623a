"""Fixtures of the tests of upkeep: an archive that is served, seen from within and from without."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.archive import Archive
from app.blobs.local import OpenFile
from app.span import Span
from tests.archive_process import ROOT
from tests.integration.store.conftest import archive, modality

__all__ = ["archive", "modality"]


def hilum(archive: Archive, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What a command says of an archive, and how it ends."""
    url = archive.settings.database_url
    assert url is not None
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("HILUM_")}
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        cwd=archive.settings.data_dir.parent,
        env=inherited
        | {
            "PYTHONPATH": str(ROOT),
            "HILUM_DATABASE_URL": url.get_secret_value(),
            "HILUM_DATA_DIR": str(archive.settings.data_dir),
        },
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def bad_sector(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """A disk that cannot read a file any more; the others it can."""

    def damage(path: Path) -> None:
        number = path.stat().st_ino
        read = OpenFile.read_fully

        def read_fully(file: OpenFile, span: Span) -> bytes:
            if os.fstat(file.number).st_ino == number:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return read(file, span)

        monkeypatch.setattr(OpenFile, "read_cached", lambda *_: b"")
        monkeypatch.setattr(OpenFile, "read_fully", read_fully)

    return damage
