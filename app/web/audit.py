"""`AuditTrail`: every request leaves a record, before the first byte of its answer.

The start of the answer is held back until the record is written; if it cannot be,
`AuditUnavailable` takes the place of the answer. A request that ends without any answer, since its
caller went away or a room failed, is recorded all the same.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.access.principal import Principal
from app.audit.event import NOBODY, AuditEvent, audit_event, note_of, of_each_study
from app.audit.trail import AuditUnavailable, Trail
from app.faults import Point, reach
from app.index.overrides import Override
from app.web.authentication import OPEN_PATHS
from app.web.dependencies import DEIDENTIFIED, DICOMWEB
from app.web.errors import CLIENT_CLOSED_REQUEST, status_of


class AuditTrail:
    """Records every request but those that everybody may make."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        record = _Record(scope)

        async def recorded_first(message: Message) -> None:
            if message["type"] == "http.response.start":
                await record.write(message["status"])
                reach(Point.BEFORE_ANSWER)
            await send(message)
            reach(Point.IN_ANSWER)

        try:
            await self._app(scope, receive, recorded_first)
        except BaseException as error:
            await record.write(status_of(error))
            raise
        await record.write(CLIENT_CLOSED_REQUEST)


class _Record:
    """The record of one request; of several studies it is one each."""

    def __init__(self, scope: Scope) -> None:
        path = scope["path"]
        self._scope = scope
        self._note = note_of(
            scope["method"], path.removeprefix(DICOMWEB).removeprefix(DEIDENTIFIED)
        )
        self._written = False
        self._failure: AuditUnavailable | None = None
        scope["state"]["audit"] = self._note
        scope["state"]["record"] = self

    async def write(self, status: int) -> None:
        """Write the record, unless it is written; one failure is for good."""
        if self._written:
            return
        if self._note.recorded_as == status:
            self._written = True
            return
        if self._failure is not None:
            raise self._failure
        try:
            records = of_each_study(self.event(status), self._note)
            await _trail(self._scope).record(*records, opened=self._opened())
        except AuditUnavailable as failure:
            self._failure = failure
            raise
        self._written = True

    def _opened(self) -> Sequence[Override]:
        caller: Principal | None = self._scope["state"].get("principal")
        return caller.holder.held.overrides if caller and caller.holder else ()

    def event(self, status: int) -> AuditEvent:
        """What the record says if the request is answered with this status."""
        scope = self._scope
        caller: Principal | None = scope["state"].get("principal")
        return audit_event(
            self._note,
            at=datetime.now(UTC),
            status=status,
            request_id=scope["state"]["request_id"],
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"],
            client_address=scope["client"][0] if scope.get("client") else None,
            partition_id=caller.partition_id if caller else NOBODY,
            principal=caller.name if caller else None,
            purpose=caller.holder.purpose if caller and caller.holder else None,
            subject=caller.subject if caller else None,
        )


def event_of(request: Request, status: int) -> AuditEvent:
    """The record of a request, for a room that writes it itself and then notes so."""
    record: _Record = request.state.record
    return record.event(status)


def _trail(scope: Scope) -> Trail:
    trail: Trail = scope["app"].state.trail
    return trail
