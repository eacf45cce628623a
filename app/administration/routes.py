"""What administrators do over HTTP: tokens, grants and labels of the partition that they work in.

    /admin/tokens               POST  GET        /admin/tokens/{token}     DELETE
    /admin/grants               POST  GET        /admin/grants/{grant}     DELETE
    /admin/studies/{study}/labels     PUT  GET

An extension, in plain JSON. Other partitions do not exist here either.
"""

from datetime import datetime
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from app.access import grants, tokens
from app.access.principal import Scope
from app.audit.changes import described, grant_described
from app.audit.event import Note
from app.dicom.uids import valid_uid
from app.errors import InvalidParameter
from app.index.grants import SCOPE, NewGrant, StoredGrant
from app.index.restriction import Action
from app.index.tokens import Token
from app.web.dependencies import Administrator, ArchiveOf
from app.web.plain_json import PAGE, After, Body, Limit, Moment, OneOf, RowId, Text, answer
from app.web.recorded import recording

router = APIRouter(prefix="/admin", tags=["Administration"])

_COMMON = ("id", "purpose", "created_at", "expires_at")
_OF_TOKEN = (*_COMMON, "name", "scopes", "restricted", "roles", "revoked_at", "last_used_at")
_OF_GRANT = (*_COMMON, "subject", "actions", "denies", "created_by")


class TokenAsked(Body):
    """A token to be made."""

    name: str
    """who or what will hold it"""
    scopes: list[OneOf[Scope]] = Field(default=[Scope.READ])
    expires_at: Moment | None = None
    restricted: bool = False
    """whether it sees only what grants let it see"""
    roles: list[str] = Field(default=[])
    """of a restricted token: whose grants are its own"""
    purpose: str | None = None
    """of a restricted token: what it is used for, where grants ask that"""


class GrantAsked(Body):
    """A grant to be made. It covers what has all the values that are given."""

    subject: str
    """`token:NUMBER`, `user:ID`, `cert:KIND:NAME` or `role:NAME`"""
    actions: Annotated[list[OneOf[Action]], Field(min_length=1)]
    denies: bool = False
    """whether it forbids, which always wins, instead of allowing"""
    institution: str | None = None
    patient_id: str | None = None
    issuer_of_patient_id: str | None = None
    study_instance_uid: str | None = None
    series_instance_uid: str | None = None
    modality: str | None = None
    sop_class_uid: str | None = None
    first_date: str | None = None
    last_date: str | None = None
    """of the study, as YYYYMMDD"""
    label: str | None = None
    purpose: str | None = None
    """of use, which the token must have"""
    expires_at: Moment | None = None


class Labels(Body):
    """The labels of a study."""

    labels: Annotated[list[str], Field(max_length=64)]


@router.post("/tokens", status_code=201)
async def create_token(
    caller: Administrator, archive: ArchiveOf, request: Request, asked: TokenAsked
) -> Response:
    """Make a token. The answer is the only time that it is shown."""
    more = dict(asked)
    name, scopes = more.pop("name"), more.pop("scopes")

    def describe(number: int) -> str:
        return described(token=number, name=name, scopes=scopes, **more)

    async with recording(request, 201, describe) as told:
        made = await tokens.issue_token(
            archive.database, name, scopes, partition=caller.partition_id, told=told, **more
        )
    return answer({"id": made.id, "token": made.token}, 201)


@router.get("/tokens")
async def list_tokens(caller: Administrator, archive: ArchiveOf) -> Response:
    """Every token of the partition, ended ones too, and when each was used last."""
    found = await tokens.list_tokens(archive.database, caller.partition_id)
    return answer([_described(token) for token in found])


@router.delete("/tokens/{token}", status_code=204)
async def revoke_token(
    caller: Administrator, archive: ArchiveOf, request: Request, token: RowId
) -> Response:
    """End a token; every process refuses it within half a minute."""
    async with recording(request, 204) as told:
        await tokens.revoke_token(archive.database, token, caller.partition_id, told=told)
    return Response(status_code=204)


@router.post("/grants", status_code=201)
async def create_grant(
    caller: Administrator, archive: ArchiveOf, request: Request, asked: GrantAsked
) -> Response:
    """Let a subject do something with what the grant covers, or forbid it."""
    new = NewGrant(
        subject=asked.subject,
        actions=asked.actions,
        denies=asked.denies,
        scope=grants.scope_of({name: getattr(asked, name) for name in SCOPE}),
        purpose=asked.purpose,
        expires_at=asked.expires_at,
        created_by=caller.name,
    )
    async with recording(request, 201, partial(grant_described, grant=new)) as told:
        identity = await grants.create_grant(archive.database, caller.partition_id, new, told=told)
    return answer({"id": identity}, 201)


@router.get("/grants")
async def list_grants(
    caller: Administrator,
    archive: ArchiveOf,
    subject: Text | None = None,
    after: After = 0,
    limit: Limit = PAGE,
) -> Response:
    """Grants of the partition by their ids; `after` goes on behind one."""
    found = await grants.list_grants(
        archive.database, caller.partition_id, subject, after=after, limit=limit
    )
    return answer([_described(grant) for grant in found])


@router.delete("/grants/{grant}", status_code=204)
async def end_grant(
    caller: Administrator, archive: ArchiveOf, request: Request, grant: RowId
) -> Response:
    """End a grant, from the next request on."""
    async with recording(request, 204) as told:
        await grants.end_grant(archive.database, caller.partition_id, grant, told=told)
    return Response(status_code=204)


@router.put("/studies/{study}/labels", status_code=204)
async def label_study(
    caller: Administrator, archive: ArchiveOf, request: Request, study: str, asked: Labels
) -> Response:
    """Give a study these labels instead of those it had."""
    uid = _uid(study)
    note: Note = request.state.audit
    note.study_instance_uid = uid
    async with recording(request, 204, lambda _: described(labels=asked.labels)) as told:
        await grants.label_study(
            archive.database, caller.partition_id, uid, asked.labels, told=told
        )
    return Response(status_code=204)


@router.get("/studies/{study}/labels")
async def labels_of_study(caller: Administrator, archive: ArchiveOf, study: str) -> Response:
    """The labels of a study."""
    found = await grants.labels_of_study(archive.database, caller.partition_id, _uid(study))
    return answer({"labels": found})


def _described(stored: Token | StoredGrant) -> dict[str, Any]:
    """What is told of a token or a grant: what it has, and no more."""
    names = _OF_TOKEN if isinstance(stored, Token) else _OF_GRANT
    told = {name: getattr(stored, name) for name in names}
    if not isinstance(stored, Token):
        told |= {name: getattr(stored.scope, name) for name in SCOPE}
    return {name: _plain(value) for name, value in told.items() if value is not None}


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat()
        case frozenset():
            return sorted(value)
        case _:
            return value


def _uid(value: str) -> str:
    if not valid_uid(value):
        raise InvalidParameter("study", value, "is no UID")
    return value
