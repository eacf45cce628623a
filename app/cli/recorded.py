"""What the audit says of what a command does: that it was, and by which user of the system."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace

from app.access.changes import Told
from app.audit.event import Action, EventId
from app.audit.trail import append
from app.audit.unasked import unasked
from app.index.database import Connection, Database


def run_by(command: str) -> str:
    """Whom the audit names for what a command does."""
    return f"hilum {command}, run by user {os.getuid()}"


async def record_look(
    index: Database, command: str, partition_id: int, path: str, **more: str | None
) -> None:
    """Record that a command looks into the audit of a partition, before it tells anything of it.

    `path`: where the same is done by HTTP, or would be; `more`: other fields of the record.
    """
    record = unasked(
        EventId.AUDIT_LOG_USED,
        Action.READ,
        by=run_by(command),
        partition_id=partition_id,
        method=command.rpartition(" ")[2].upper(),
        path=path,
        **({"query": None, "study_instance_uid": None} | more),
    )
    async with index.transaction() as connection:
        await append(connection, [record])


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

    async def told(connection: Connection, partition_id: int, number: int) -> None:
        record = unasked(
            EventId.SECURITY_ALERT,
            action,
            by=run_by(command),
            partition_id=partition_id,
            method=command.rpartition(" ")[2].upper(),
            path=path if action is Action.CREATE else f"{path}/{number}",
            query=describe(number) or None,
            study_instance_uid=studies[0] if studies else None,
        )
        others = (replace(record, study_instance_uid=study) for study in studies[1:])
        await append(connection, [record, *others])

    return told
