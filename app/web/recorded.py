"""`recording`: the record of a change, written in the transaction of the change.

So there is neither without the other, whatever is killed in between.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.requests import Request

from app.access.changes import Told
from app.audit.event import Note, of_each_study
from app.audit.trail import append
from app.index.database import Connection
from app.web.audit import event_of


@asynccontextmanager
async def recording(
    request: Request, status: int, describe: Callable[[int], str] = lambda _: ""
) -> AsyncIterator[Told]:
    """What writes the record of a request that changes something and is answered with this status.

    `describe`: what the record says of the change, by the number of what is changed. Whoever is
    refused or fails has a record of that, as always.
    """
    note: Note = request.state.audit

    async def told(connection: Connection, _: int, number: int) -> None:
        note.told = describe(number)
        await append(connection, of_each_study(event_of(request, status), note))

    yield told
    note.recorded_as = status
