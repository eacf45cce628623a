"""Whether there is a study, as far as a caller may see."""

from sqlalchemy import bindparam, select

from app.index.database import Connection, prepare
from app.index.statements import table
from app.index.tables import Study
from app.index.visibility import Visibility, visible

_STUDY = table(Study).c
_IS_THERE = prepare(
    select(_STUDY.id).where(
        visible(Study), _STUDY.study_instance_uid == bindparam("study_instance_uid")
    )
)


async def is_there(connection: Connection, visibility: Visibility, study_instance_uid: str) -> bool:
    """Whether this caller sees anything of the study."""
    given = {"study_instance_uid": study_instance_uid}
    found = await _IS_THERE.fetchval(connection, **visibility.parameters, **given)
    return found is not None
