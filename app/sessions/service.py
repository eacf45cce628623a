"""A token of one study is given to who may see the study."""

from app.access.principal import Principal
from app.access.sessions import STUDY_SECONDS, Opened, open_session
from app.archive import Archive
from app.errors import NotFound
from app.index import studies
from app.index.restriction import Action


async def open_study(archive: Archive, caller: Principal, study_instance_uid: str) -> Opened:
    """Make a token that opens one study. Raises `NotFound` if the caller sees none of it."""
    for action in (Action.READ, Action.RENDER):
        visibility = caller.visibility_for(action)
        async with archive.reading() as connection:
            if await studies.is_there(connection, visibility, study_instance_uid):
                return await open_session(
                    archive.database, caller, STUDY_SECONDS, study_instance_uid
                )
    raise NotFound
