"""What every command starts from: the settings, and a database that runs."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from dotenv import load_dotenv
from pydantic import ValidationError

from app.errors import ArchiveError
from app.index.embedded import EmbeddedPostgres, running_url
from app.settings import GROUPS, Settings


class BadSettings(ArchiveError):
    """The settings cannot be used."""


def read_settings() -> Settings:
    """The settings of the environment and of the file `.env`.

    The file's other variables (those of an object store, for example) join the environment too,
    for us and for the processes that we start. Raises `BadSettings`, which never quotes a value.
    """
    load_dotenv(".env")
    try:
        settings = Settings()
    except ValidationError as error:
        raise BadSettings(
            "; ".join(
                f"{'__'.join(['HILUM', *map(str, problem['loc'])]).upper()}: {problem['msg']}"
                for problem in error.errors()
            ).replace("HILUM__", "HILUM_")
        ) from None
    if unknown := sorted(_unknown_variables()):
        raise BadSettings(f"There is no such setting: {', '.join(unknown)}.")
    return settings


def dicomweb_base(settings: Settings, port: int) -> str:
    """The DICOMweb base as somebody on this machine, or before our proxy, reaches it."""
    if settings.public_url is not None:
        return settings.public_url.rstrip("/") + "/dicomweb"
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/dicomweb"


@contextmanager
def database(settings: Settings) -> Iterator[str]:
    """The URL of the archive's database, which runs as long as this context.

    It is the one in the settings, or the embedded one: that of the archive that is serving, if
    one is, else started here.
    """
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
    elif (url := running_url(settings.data_dir)) is not None:
        yield url
    else:
        with own_database(settings) as url:
            yield url


@contextmanager
def own_database(settings: Settings) -> Iterator[str]:
    """As `database`, but an embedded one is always started here: for the command that serves."""
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    connections = settings.processes * settings.database_connections
    with EmbeddedPostgres(settings.data_dir, connections=connections) as server:
        yield server.url


def _unknown_variables() -> Iterator[str]:
    """Variables that look like settings and are none: most often a slip of the pen."""
    known = {f"HILUM_{name}".upper() for name in Settings.model_fields}
    for group, model in GROUPS.items():
        known |= {f"HILUM_{group}__{name}".upper() for name in model.model_fields}
    return (name for name in os.environ if name.startswith("HILUM_") and name not in known)
