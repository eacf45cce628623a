"""The archive that bad inputs are sent to: a process of its own, whose memory can be watched."""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.elements import SERIES, SOP_INSTANCE, STUDY, element, instance, uid
from tests.fixtures.postgres import copy_of
from tests.fixtures.server import Server
from tests.fixtures.server import process as serving_process

MIB = 1024 * 1024
GOOD = instance(
    {
        STUDY: element(STUDY, "UI", uid("1.2.3")),
        SERIES: element(SERIES, "UI", uid("1.2.3.4")),
        SOP_INSTANCE: element(SOP_INSTANCE, "UI", uid("1.2.3.4.5")),
    }
)
"""What is stored already."""
GOOD_PATH = "/dicomweb/studies/1.2.3/series/1.2.3.4/instances/1.2.3.4.5"


@dataclass(frozen=True)
class Process:
    """A serving process, and the memory that it takes."""

    server: Server
    pid: int
    token: str
    """With the scopes `read` and `store`."""

    def client(self) -> httpx.AsyncClient:
        """A client that sends the token; its paths begin below the DICOMweb base."""
        return httpx.AsyncClient(
            base_url=self.server.dicomweb,
            headers={"Authorization": f"Bearer {self.token}"},
            trust_env=False,
            timeout=30,
        )

    def memory(self) -> int:
        """The memory that it has, in bytes; the peak is counted from here."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        return self._status("VmRSS")

    def peak(self) -> int:
        """The most memory that it has had since."""
        return self._status("VmHWM")

    def _status(self, name: str) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split(f"{name}:")[1].split()[0]) * 1024

    def seconds(self) -> float:
        """How long it has used a processor."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture(scope="session")
async def inputs_database_url(postgres_url: str, template_database: str) -> AsyncIterator[str]:
    async with copy_of(postgres_url, template_database) as url:
        yield url


@pytest.fixture(scope="session")
async def process(
    inputs_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Process]:
    """The archive with its default limits but one: 20 GB are not written to the disk of a test."""
    folder = tmp_path_factory.mktemp("inputs")
    with serving_process(
        inputs_database_url, folder, HILUM_LIMITS__INFLATED_BYTES=str(640 * MIB)
    ) as (
        server,
        pid,
    ):
        running = Process(server, pid, await server.token("read", "store"))
        async with running.client() as client:
            headers = {"Content-Type": "application/dicom"}
            assert (await client.post("/studies", content=GOOD, headers=headers)).is_success
        yield running
