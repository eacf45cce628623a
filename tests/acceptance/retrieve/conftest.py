"""An archive that the tests of a module share, with whatever they have stored."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from app.settings import Settings
from tests.factories import multipart
from tests.fixtures.server import Server, serving


@pytest.fixture(scope="module")
def shared_server(
    module_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """An archive with local blobs, which the tests of a module fill."""
    folder: Path = tmp_path_factory.mktemp("archive")
    values = {"database_url": module_database_url, "data_dir": folder}
    with serving(Settings.model_validate(values)) as running:
        yield running


@pytest.fixture(scope="module")
async def viewer(shared_server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """A client that may store and read; its paths begin below the DICOMweb base."""
    async with shared_server.client("read", "store") as http:
        yield http


async def store(http: httpx.AsyncClient, *instances: bytes) -> list[str]:
    """Store the instances and return the paths of their resources, in the same order."""
    body, content_type = multipart(instances)
    answer = await http.post("/studies", content=body, headers={"Content-Type": content_type})
    assert answer.status_code in {200, 202}, answer.text
    items = answer.json()["00081199"]["Value"]
    return [
        httpx.URL(item["00081190"]["Value"][0]).path.removeprefix("/dicomweb") for item in items
    ]
