"""A store takes the same memory whatever its size; measured in a process of its own."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from pydicom.uid import generate_uid

from tests.factories import ct_dataset, part10
from tests.fixtures.s3 import S3Server
from tests.fixtures.server import Server

MIB = 1024 * 1024
LARGE = 256 * MIB
MAY_GROW = 64 * MIB


@dataclass(frozen=True)
class Process:
    """A server that is a process, and what it takes."""

    server: Server
    pid: int

    def peak(self) -> int:
        """The most memory that it has had, in bytes."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024


@pytest.fixture(params=["local", "s3"])
def process(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Iterator[Process]:
    environment = {"HILUM_DATABASE_URL": database_url, "HILUM_DATA_DIR": str(tmp_path)}
    if request.param == "s3":
        s3: S3Server = request.getfixturevalue("s3")
        environment |= s3.environment | {"HILUM_BLOBS_URL": s3.url()}
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["-m", "uvicorn", "--factory", "app.main:create_app", "--port", str(port)]
    with subprocess.Popen(
        [sys.executable, *command, "--http", "httptools", "--no-access-log"],
        env={name: value for name, value in os.environ.items() if not name.startswith("HILUM_")}
        | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    ) as running:
        try:
            server = Server(f"http://127.0.0.1:{port}", database_url, tmp_path)
            wait_until_ready(server)
            yield Process(server, running.pid)
        finally:
            running.terminate()


def wait_until_ready(server: Server) -> None:
    for _ in range(300):
        try:
            if httpx.get(f"{server.url}/health/ready", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail("the server does not start")


def large_instance() -> Iterator[bytes]:
    """A CT Image with `LARGE` bytes of pixels, in pieces."""
    dataset = ct_dataset(SOPInstanceUID=generate_uid(), Rows=8192, Columns=16384, PixelData=None)
    yield part10(dataset)
    yield b"\xe0\x7f\x10\x00OW\x00\x00" + LARGE.to_bytes(4, "little")
    for _ in range(LARGE // MIB):
        yield bytes(MIB)


async def test_an_instance_of_256_mb_takes_less_than_64_mb_of_memory(process: Process) -> None:
    token = await process.server.token("store")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/dicom"}
    url = f"{process.server.dicomweb}/studies"
    with httpx.Client(headers=headers, trust_env=False, timeout=120) as client:
        assert client.post(url, content=part10(ct_dataset())).status_code == 200
        before = process.peak()
        assert client.post(url, content=large_instance()).status_code == 200
    assert process.peak() - before < MAY_GROW
