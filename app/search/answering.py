"""What the answers of all searches have in common: their media type, warnings and links."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.responses import Response

from app.archive import Archive
from app.audit.event import Note
from app.dicom.mediatypes import ATTRIBUTES_OFFERS, DICOM_JSON, DICOM_XML, JSON, choose
from app.dicom.uids import valid_uid
from app.errors import BadRequest, NotAcceptable
from app.index.restriction import Action
from app.index.visibility import Visibility
from app.search.paging import link_to_next, told_of, without_a_link
from app.search.service import Results
from app.web.accepting import accepted_by
from app.web.dependencies import DICOMWEB, Reader, base_url, get_archive
from app.web.multipart import Writer
from app.web.responses import dicom_json, warning

RESULTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A page of results; of all of them, X-Total-Count says how many",
        "content": {
            DICOM_JSON: {},
            JSON: {},
            f'multipart/related; type="{DICOM_XML}"': {},
        },
    }
}


@dataclass(frozen=True, slots=True)
class Ask:
    """What every search has in common: who asks, of which archive, and how it is answered."""

    request: Request
    archive: Archive
    visibility: Visibility
    base: str
    media_type: str
    xml: Writer | None
    """What writes the message, if it is XML."""

    @property
    def query_string(self) -> bytes:
        """As it was sent."""
        found: bytes = self.request.scope["query_string"]
        return found


async def ask(request: Request, caller: Reader) -> Ask:
    """What is asked; raises `NotAcceptable`."""
    offer = choose(accepted_by(request), ATTRIBUTES_OFFERS)
    if offer is None:
        raise NotAcceptable(
            'Results are sent as application/dicom+json, or multipart/related; type="application/'
            'dicom+xml".'
        )
    xml = Writer(DICOM_XML) if offer.media_type == DICOM_XML else None
    return Ask(
        request,
        await get_archive(request),
        caller.visibility_for(Action.SEARCH),
        await base_url(request),
        xml.content_type if xml else offer.media_type,
        xml,
    )


Asked = Annotated[Ask, Depends(ask)]


async def answer(
    asked: Ask, found: Results, warnings: Sequence[str] = (), links: Sequence[str] = ()
) -> Response:
    """A page of results, with what has to be told of it; `links` are values of Link headers.

    The audit is told whose data it shows.
    """
    note: Note = asked.request.state.audit
    note.lists(found.patients)
    next_page = _link_to_next(asked, found)
    told = [*warnings, *_warnings(found)]
    if found.end is not None and next_page is None:
        told.append(without_a_link(found.end, found.before_end))
    response = await dicom_json(
        asked.request,
        found.body,
        media_type=asked.media_type,
        warnings=[warning(asked.base, text) for text in told],
    )
    if found.total is not None:
        response.headers["X-Total-Count"] = str(found.total)
    for link in (*links, *([next_page] if next_page else [])):
        response.headers.append("Link", link)
    return response


def _warnings(found: Results) -> list[str]:
    warnings = []
    if found.remaining:
        warnings.append(told_of(found.remaining, counted=found.counted))
    if found.left_out:
        warnings.append(
            f"Of {found.left_out} results only the usual attributes are returned. Their metadata"
            " has the others."
        )
    if found.passed_over:
        warnings.append(
            f"{found.passed_over} instances were passed over: their metadata is too long to be"
            " searched."
        )
    return warnings


def _link_to_next(asked: Ask, found: Results) -> str | None:
    if found.end is None:
        return None
    url = asked.base + asked.request.scope["raw_path"].decode("ascii").removeprefix(DICOMWEB)
    return link_to_next(url, asked.query_string, found.end, found.before_end)


def uid_in_path(value: str) -> str:
    """The UID, if it is one. Raises `BadRequest`."""
    if not valid_uid(value):
        raise BadRequest(f"{value[:128]!r} in the path is no UID.")
    return value
