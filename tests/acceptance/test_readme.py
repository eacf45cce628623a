"""The README promises nothing that does not run: its Python is run as it stands."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.factories import ct_series
from tests.fixtures.server import Server

[SNIPPET] = re.findall(r"```python\n(.*?)```", Path("README.md").read_text(), re.DOTALL)


async def test_the_python_of_the_readme_runs(server: Server, tmp_path: Path) -> None:
    (tmp_path / "series").mkdir()
    for number, file in enumerate(ct_series(3)):
        (tmp_path / "series" / f"{number}.dcm").write_bytes(file)
    environment = os.environ | {
        "BASE": server.dicomweb,
        "TOKEN": await server.token("read", "store"),
        "no_proxy": "127.0.0.1",
    }
    ran = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", SNIPPET],
        cwd=tmp_path,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ["1 (16, 16)", "2 (16, 16)", "3 (16, 16)"]
