"""`hilum demo`: finds the running archive and a token for it, then takes the tour."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from app.access.principal import Scope
from app.access.tokens import create_token
from app.cli.environment import dicomweb_base, read_settings
from app.cli.tokens import with_index
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
    base = (url or dicomweb_base(settings, settings.port)).rstrip("/")
    tour.take(base, token or _token(settings))


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
    scopes = [Scope.READ, Scope.STORE]
    return with_index(url, lambda index: create_token(index, "demo", scopes, expires_at=in_an_hour))
