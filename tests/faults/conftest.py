"""Stages for trials: a fresh database, and blobs in a folder or behind a proxy in SeaweedFS."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest

from app.access.principal import Scope
from app.access.tokens import create_token
from app.index.database import Database
from app.settings import Settings
from tests.faults.nursery import Nursery
from tests.faults.objectstore import Proxy, proxy_to
from tests.faults.trial import Stage
from tests.fixtures.s3 import S3Server


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with Nursery(tmp_path_factory.mktemp("servers")) as nursery:
        yield nursery


async def stage_of(nursery: Nursery, settings: Settings, **environment: str) -> Stage:
    """A stage over the floors of the settings."""
    assert settings.database_url is not None
    url = settings.database_url.get_secret_value()
    index = await Database.open(url, connections=1, statement_seconds=30)
    try:
        token = await create_token(index, "trial", [Scope.READ, Scope.STORE])
    finally:
        await index.close()
    own = {
        "HILUM_DATABASE_URL": url,
        "HILUM_DATA_DIR": str(settings.data_dir),
        "HILUM_DATABASE_CONNECTIONS": "5",
    }
    if settings.blobs_url is not None:
        own["HILUM_BLOBS_URL"] = settings.blobs_url
    return Stage(nursery, settings, own | environment, token)


@pytest.fixture
async def stage(nursery: Nursery, settings: Settings) -> Stage:
    """With blobs in a folder."""
    return await stage_of(nursery, settings)


@dataclass(frozen=True)
class S3Stage:
    """A stage, and the proxy between it and its object store."""

    stage: Stage
    proxy: Proxy


@pytest.fixture
async def s3_stage(
    nursery: Nursery, settings: Settings, s3_environment: S3Server
) -> AsyncIterator[S3Stage]:
    """With blobs in an object store, behind a proxy."""
    settings = settings.model_copy(update={"blobs_url": s3_environment.url()})
    async with proxy_to(s3_environment.endpoint) as proxy:
        environment = s3_environment.environment | {"AWS_ENDPOINT_URL": proxy.endpoint}
        yield S3Stage(await stage_of(nursery, settings, **environment), proxy)
