"""Stages for trials: a fresh database, and blobs in a folder or behind a proxy in SeaweedFS."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest

from app.settings import Settings
from tests.faults.nursery import Nursery
from tests.faults.objectstore import Proxy, proxy_to
from tests.faults.stages import stage_of
from tests.faults.trial import Stage
from tests.fixtures.s3 import S3Server


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with Nursery(tmp_path_factory.mktemp("servers")) as nursery:
        yield nursery


@pytest.fixture(autouse=True)
def _no_server_outlives_its_test(nursery: Nursery) -> Iterator[None]:
    yield
    nursery.end_all()


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
