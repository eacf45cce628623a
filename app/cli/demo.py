"""`hilum demo`: finds the running archive and a token for it, then takes the tour."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from app.access.principal import Scope
from app.cli.environment import read_settings
from app.cli.tokens import issue
from app.errors import NotFound
from app.index.embedded import running_url
from app.settings import Settings


def demo(
    url: Annotated[str | None, typer.Option(help="The DICOMweb base; else from settings.")] = None,
    token: Annotated[str | None, typer.Option(help="An access token; else from settings.")] = None,
) -> None:
    """Store sample studies in the running archive, search them and look at one."""
    from app.cli import tour  # noqa: PLC0415 - pydicom and numpy, which no other command needs

    settings = read_settings()
    tour.take((url or _base_url(settings)).rstrip("/"), token or _token(settings))


def _base_url(settings: Settings) -> str:
    if settings.public_url is not None:
        return settings.public_url.rstrip("/") + "/dicomweb"
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}/dicomweb"


def _token(settings: Settings) -> str:
    """The administrator's token, if the settings have it; else one for an hour.

    Whoever can reach the database may make tokens.
    """
    if settings.admin_token is not None:
        return settings.admin_token.get_secret_value()
    if settings.database_url is not None:
        url: str | None = settings.database_url.get_secret_value()
    else:
        url = running_url(settings.data_dir)
    if url is None:
        raise NotFound(
            f"No archive is running on {settings.data_dir}. Start one first, in another terminal: "
            "make run. For an archive elsewhere give --url and --token."
        )
    in_an_hour = datetime.now(UTC) + timedelta(hours=1)
    return asyncio.run(issue(url, "demo", frozenset({Scope.READ, Scope.STORE}), in_an_hour))
