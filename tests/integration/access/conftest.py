"""A server with things that some may see and others not, shared by the tests of a module."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fixtures.server import FixedSettings, Server, serving
from tests.integration.access.population import populate


@pytest.fixture(scope="module")
async def populated(
    module_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Server]:
    """Tests only read from it."""
    folder: Path = tmp_path_factory.mktemp("populated")
    values = {"database_url": module_database_url, "data_dir": folder}
    with serving(FixedSettings.model_validate(values)) as server:
        await populate(server)
        yield server
