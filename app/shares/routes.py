"""Shares over HTTP: links to studies, made by who may share, listed and ended.

    /shares             POST  GET
    /shares/{share}     GET  DELETE

An extension, in plain JSON. Everybody sees the own shares, administrators all of the partition.
What a link leads to: see `app.shares.opening`.
"""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from app.access import shares
from app.access.shares import Asked
from app.audit.event import Note, Objects
from app.index.shares import StoredShare
from app.web.dependencies import DICOMWEB, ArchiveOf, BaseUrl, Sharer
from app.web.plain_json import PAGE, After, Body, Limit, Moment, RowId, answer
from app.web.recorded import recording

router = APIRouter(tags=["Sharing"])

SHARE = "/share"
"""The path that links lie under."""


class ShareAsked(Body):
    """A share to be made."""

    studies: Annotated[list[str], Field(min_length=1)]
    """Study Instance UIDs"""
    name: str
    """whom it is for; only who made the share, and administrators, see it"""
    expires_at: Moment | None = None
    """without it, the longest that the settings allow"""
    most_uses: int | None = None
    """how often the link may be opened"""
    password: str | None = None
    """that is asked for when it is opened"""
    deidentify: bool = False
    """whether it is shown without who it is of"""


@router.post("/shares", status_code=201)
async def create_share(
    caller: Sharer, archive: ArchiveOf, base: BaseUrl, request: Request, asked: ShareAsked
) -> Response:
    """Make a link. The answer is the only time that it is shown."""
    wanted, limits = Asked(**dict(asked)), archive.settings.sharing
    note: Note = request.state.audit

    def describe(number: int) -> str:
        note.is_about([Objects(study) for study in dict.fromkeys(asked.studies)])
        return _told(number, asked.studies)

    async with recording(request, 201, describe) as told:
        made = await shares.create_share(archive.database, caller, wanted, limits, told=told)
    url = link_of(base, made.secret)
    return answer({"id": made.id, "url": url, "expires_at": made.expires_at.isoformat()}, 201)


@router.get("/shares")
async def list_shares(
    caller: Sharer, archive: ArchiveOf, after: After = 0, limit: Limit = PAGE
) -> Response:
    """Shares by their ids, ended ones too; `after` goes on behind one."""
    found = await shares.list_shares(
        archive.database, caller.partition_id, caller.whose, after=after, limit=limit
    )
    return answer([_described(share) for share in found])


@router.get("/shares/{share}")
async def describe_share(caller: Sharer, archive: ArchiveOf, share: RowId) -> Response:
    """What is shared, until when, and how often it was used."""
    found = await shares.share_with_id(archive.database, caller.partition_id, share, caller.whose)
    return answer(_described(found))


@router.delete("/shares/{share}", status_code=204)
async def revoke_share(
    caller: Sharer, archive: ArchiveOf, request: Request, share: RowId
) -> Response:
    """End a share and, within seconds, all that was opened with it."""
    async with recording(request, 204, _told) as told:
        await shares.revoke_share(
            archive.database, caller.partition_id, share, caller.whose, told=told
        )
    return Response(status_code=204)


def link_of(base: str, secret: str) -> str:
    """The link, for an archive with this DICOMweb base URL."""
    return f"{base.removesuffix(DICOMWEB)}{SHARE}/{secret}"


def _told(share_id: int, studies: Sequence[str] = ()) -> str:
    """What the audit says: which share it was, and of what."""
    return "&".join([f"share={share_id}", *(f"study={study}" for study in studies)])


def _described(share: StoredShare) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": share.id,
        "name": share.name,
        "studies": share.studies,
        "has_password": share.password is not None,
        "deidentified": share.uid_key is not None,
        "most_uses": share.most_uses,
        "uses": share.uses,
        "created_by": share.created_by,
        "created_at": share.created_at.isoformat(),
        "expires_at": share.expires_at.isoformat(),
        "revoked_at": share.revoked_at and share.revoked_at.isoformat(),
        "last_used_at": share.last_used_at and share.last_used_at.isoformat(),
    }
    return {name: value for name, value in told.items() if value is not None}
