"""How a stage for trials is made of a database and a store of blobs that are there."""

from app.access.principal import Scope
from app.access.tokens import create_token
from app.index.database import Database
from app.settings import Settings
from tests.faults.nursery import Nursery
from tests.faults.trial import Stage


async def stage_of(nursery: Nursery, settings: Settings, **environment: str) -> Stage:
    """A stage over the floors of the settings; `environment`: of its servers, on top of those."""
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
