"""What the audit says of what a command changes: that it was, and by which user of the system."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace

from app.access.changes import Told
from app.audit.event import Action, EventId
from app.audit.trail import append
from app.audit.unasked import unasked
from app.index.database import Connection


def recorded(
    command: str,
    path: str,
    action: Action,
    describe: Callable[[int], str] = lambda _: "",
    studies: Sequence[str] = (),
) -> Told:
    """Writes the record of a change with it.

    `command`: such as `grant add`; `path`: where the same is done by HTTP; `describe`: what the
    record says of the change, by the number of what is changed; `studies`: what it is about.
    """
    by = f"hilum {command}, run by user {os.getuid()}"

    async def told(connection: Connection, partition_id: int, number: int) -> None:
        record = unasked(
            EventId.SECURITY_ALERT,
            action,
            by=by,
            partition_id=partition_id,
            method=command.rpartition(" ")[2].upper(),
            path=path if action is Action.CREATE else f"{path}/{number}",
            query=describe(number) or None,
            study_instance_uid=studies[0] if studies else None,
        )
        others = (replace(record, study_instance_uid=study) for study in studies[1:])
        await append(connection, [record, *others])

    return told
