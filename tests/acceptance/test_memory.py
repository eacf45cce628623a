"""An instance takes the same memory whatever its size; measured in a process of its own."""

import hashlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import orjson
import pytest
from pydicom.uid import ImplicitVRLittleEndian

from app.web.protocol import PROTOCOL
from tests.factories import ct_dataset, part10
from tests.fixtures.s3 import S3Server
from tests.fixtures.server import Server

MIB = 1024 * 1024
LARGE = 256 * MIB
FRAMES = LARGE // (2 * 512 * 512)
MAY_GROW = 64 * MIB

OCTET_STREAM = "application/octet-stream"
IMAGE = "image/png"


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
        [sys.executable, *command, "--http", PROTOCOL, "--no-access-log"],
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


class LargeInstance:
    """An implicit CT Image of `LARGE` bytes of pixels in many frames, made and hashed in pieces."""

    def __init__(self) -> None:
        self._dataset = ct_dataset(
            NumberOfFrames=FRAMES, Rows=512, Columns=512, BitsStored=16, HighBit=15, PixelData=None
        )
        self._header = part10(self._dataset, ImplicitVRLittleEndian)
        self._header += b"\xe0\x7f\x10\x00" + LARGE.to_bytes(4, "little")
        self.size = len(self._header) + LARGE
        uids = self._dataset
        self.path = (
            f"/studies/{uids.StudyInstanceUID}/series/{uids.SeriesInstanceUID}"
            f"/instances/{uids.SOPInstanceUID}"
        )

    def __iter__(self) -> Iterator[bytes]:
        yield self._header
        for number in range(0, FRAMES, 2):
            yield self.frame(number) + self.frame(number + 1)

    @staticmethod
    def frame(index: int) -> bytes:
        """The pixels of a frame, counted from 0."""
        return index.to_bytes(2, "little") * (512 * 512)

    def sha256(self) -> str:
        digest = hashlib.sha256()
        for piece in self:
            digest.update(piece)
        return digest.hexdigest()


def received(client: httpx.Client, path: str, accept: str) -> tuple[int, str]:
    """How many bytes are sent, and their SHA-256."""
    length, digest = 0, hashlib.sha256()
    with client.stream("GET", path, headers={"Accept": accept}) as answer:
        assert answer.status_code == 200
        for piece in answer.iter_raw():
            length += len(piece)
            digest.update(piece)
    return length, digest.hexdigest()


async def test_an_instance_of_256_mb_takes_less_than_64_mb_of_memory(process: Process) -> None:
    token = await process.server.token("store", "read")
    large = LargeInstance()
    dicom = {"Content-Type": "application/dicom"}
    with httpx.Client(
        base_url=process.server.dicomweb,
        headers={"Authorization": f"Bearer {token}"},
        trust_env=False,
        timeout=120,
    ) as client:
        assert client.post("/studies", content=part10(ct_dataset()), headers=dicom).is_success
        before = process.peak()

        for how in ({}, {"Content-Length": str(large.size)}):
            answer = client.post("/studies", content=iter(large), headers=dicom | how)
            assert answer.status_code == 200
        as_stored = received(client, large.path, "application/dicom; transfer-syntax=*")
        assert as_stored == (large.size, large.sha256())
        length, _ = received(client, large.path, "application/dicom")
        assert LARGE < length < LARGE + MIB
        (metadata,) = client.get(f"{large.path}/metadata").json()
        pixels = metadata["7FE00010"]["BulkDataURI"]
        assert received(client, pixels, "*/*")[0] == LARGE
        first = 2 * 512 * 512 * (FRAMES - 1)
        part = client.get(pixels, headers={"Range": f"bytes={first}-"})
        assert (part.status_code, part.content) == (206, large.frame(FRAMES - 1))
        frame = client.get(f"{large.path}/frames/{FRAMES}", headers={"Accept": OCTET_STREAM})
        assert frame.content == large.frame(FRAMES - 1)
        image = client.get(f"{large.path}/frames/{FRAMES}/rendered", headers={"Accept": IMAGE})
        assert image.status_code == 200
    assert process.peak() - before < MAY_GROW


@pytest.mark.parametrize("process", ["local"], indirect=True)
async def test_bulk_data_of_256_mb_take_less_than_64_mb_of_memory(process: Process) -> None:
    token = await process.server.token("store", "read")
    dataset = ct_dataset(NumberOfFrames=FRAMES, Rows=512, Columns=512)
    metadata = orjson.dumps([dataset.to_json_dict(1, lambda _: "pixels")])
    head = b"--b\r\nContent-Type: application/octet-stream\r\nContent-Location: pixels\r\n\r\n"

    def message() -> Iterator[bytes]:
        yield b"--b\r\nContent-Type: application/dicom+json\r\n\r\n" + metadata + b"\r\n" + head
        for number in range(FRAMES):
            yield LargeInstance.frame(number)
        yield b"\r\n--b--"

    with httpx.Client(
        base_url=process.server.dicomweb,
        headers={"Authorization": f"Bearer {token}"},
        trust_env=False,
        timeout=120,
    ) as client:
        dicom = {"Content-Type": "application/dicom"}
        assert client.post("/studies", content=part10(ct_dataset()), headers=dicom).is_success
        before = process.peak()
        kind = {"Content-Type": 'multipart/related; type="application/dicom+json"; boundary=b'}
        answer = client.post("/studies", content=message(), headers=kind)
        assert answer.status_code == 200
        assert process.peak() - before < MAY_GROW
        (item,) = answer.json()["00081199"]["Value"]
        (url,) = item["00081190"]["Value"]
        frame = client.get(f"{url}/frames/{FRAMES}", headers={"Accept": OCTET_STREAM})
        assert frame.content == LargeInstance.frame(FRAMES - 1)
