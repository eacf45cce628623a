"""`StoreRecord`: the record of a store, committed together with what it stores.

It says how the request will be answered, if all of it is in one commit, which is then its record.
Of a request with several commits the first has a record that says as much as is known by then; so
has each that replaces something. Another one is written when the request is answered.
"""

from collections.abc import Sequence

from fastapi import Request

from app.audit.event import Action, AuditEvent, Note, of_each_study
from app.audit.trail import append
from app.index.database import Connection
from app.store.objects import objects_of
from app.store.outcomes import Outcome, Stored
from app.store.response import status_of
from app.web.audit import event_of

IN_PART = 202
"""What is recorded while more is to come."""


class StoreRecord:
    """The record of one request."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._note: Note = request.state.audit
        self._has_begun = False

    def note(self, outcomes: Sequence[Outcome]) -> None:
        """Note what was stored: of each study, the series and the instance if it is one."""
        if any(
            isinstance(outcome, Stored) and outcome.replaced is not None for outcome in outcomes
        ):
            self._note.action = Action.UPDATE
        self._note.is_about(objects_of(outcomes))

    def tells(self, outcomes: Sequence[Outcome], *, whole: bool) -> Sequence[AuditEvent]:
        """A record for each study; of a request in part, only the first time."""
        if self._has_begun and not whole:
            return ()
        self.note(outcomes)
        status = status_of(outcomes) if whole else IN_PART
        return of_each_study(event_of(self._request, status), self._note)

    async def write(self, connection: Connection, told: Sequence[AuditEvent]) -> None:
        """Append them to the audit."""
        await append(connection, told)

    def is_written(self, outcomes: Sequence[Outcome], *, whole: bool) -> None:
        """Let no other record be written, unless the answer is another one."""
        self._has_begun = True
        if whole:
            self._note.recorded_as = status_of(outcomes)
