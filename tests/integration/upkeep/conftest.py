"""Fixtures of the tests of upkeep: an archive that is served, seen from within and from without."""

import os
import subprocess
import sys

from app.archive import Archive
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
