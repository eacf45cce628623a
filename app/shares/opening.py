"""What a link leads to: a page that asks to open it, and after that one with the images.

    /share/{secret}     GET     in a browser: the page
                        POST    opens it: a cookie for a browser, a token in JSON for a program

Rules:
- To look at the page uses nothing up, since programs that show previews of links do that too.
- The only address of the page is the link. It tells it to nobody (Referrer-Policy, as all answers
  do), runs no script and loads nothing from elsewhere (Content-Security-Policy).
- A link that leads nowhere, no longer, or never did, is answered alike. So that the audit knows who
  asks, the caller is the share, from the moment on at which it is found.
"""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from app.access.authenticator import Authenticator
from app.access.recognition import guest_of
from app.access.shares import (
    NoSuchLink,
    WrongPassword,
    open_share,
    share_of_link,
    share_of_session,
)
from app.audit.event import Action, EventId, Note
from app.dicom.deidentification import Deidentifier
from app.errors import BadRequest, Forbidden, Unauthenticated
from app.index.shares import StoredShare
from app.shares import page
from app.shares.contents import contents_of
from app.shares.deidentified import deidentified_contents
from app.shares.routes import SHARE
from app.web.cookies import SHARE_COOKIE, Cookie, is_of_another_site, is_of_our_site
from app.web.dependencies import DEIDENTIFIED, DICOMWEB, ArchiveOf, BaseUrl

router = APIRouter(tags=["Sharing"])

LONGEST_FORM = 4096
MOST_FIELDS = 8
LONGEST_SECRET = 64

_PRIVATE = {
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex",
}
_PAGE = _PRIVATE | {"Content-Security-Policy": page.POLICY, "Vary": "Accept, Cookie"}
_HTML: dict[str, Any] = {"content": {"text/html": {}}}


@router.get("/share/{secret}", responses={200: _HTML, 404: _HTML}, response_class=Response)
async def look_at_share(
    archive: ArchiveOf, base: BaseUrl, request: Request, secret: str
) -> Response:
    """The page of a link: what is shared if it is open in this browser, else how to open it."""
    session = _session(request, base)
    share = None
    if session is not None and len(secret) <= LONGEST_SECRET:
        share = await share_of_session(archive.database, secret, session)
    if share is None or session is None:
        try:
            found = await _found(archive, request, secret)
        except NoSuchLink:
            return _page(page.nowhere(), 404)
        return _page(page.closed(asks_password=found.password is not None))
    _comes(request, share)
    authenticator: Authenticator = request.app.state.authenticator
    try:
        guest = await authenticator.principal_with(session)
    except Unauthenticated:
        return _page(page.nowhere(), 404)
    note: Note = request.state.audit
    note.event = EventId.QUERY
    if guest.deidentified is None:
        shown = await contents_of(archive, guest, request.query_params, note)
    else:
        shown = await deidentified_contents(archive, guest, request.query_params, note)
    return _page(page.gallery(shown, urlsplit(_base_of(share, base)).path))


@router.post("/share/{secret}", responses={200: {}, 303: {}, 404: {}})
async def open_link(archive: ArchiveOf, base: BaseUrl, request: Request, secret: str) -> Response:
    """Open a link, which is a use of it. The body: `password`, in JSON or as a form sends it.

    Who accepts text/html gets a cookie, and the page; others a token, the time for which it is
    valid, and the DICOMweb URL to use it at.
    """
    in_browser = "text/html" in request.headers.get("accept", "")
    if in_browser and is_of_another_site(request.scope["headers"]):
        # Somebody's page would have the browser keep that somebody's cookie.
        raise Forbidden("In a browser, a link is opened by its own page.")
    password = await _password(request)
    note: Note = request.state.audit
    note.event, note.action = EventId.USER_AUTHENTICATION, Action.EXECUTE
    try:
        share = await _found(archive, request, secret)
        opened = await open_share(
            archive.database, share, secret, password, archive.settings.sharing
        )
    except NoSuchLink:
        if in_browser:
            return _page(page.nowhere(), 404)
        raise
    except WrongPassword:
        if in_browser:
            response = _page(page.closed(asks_password=True, was_wrong=True), 401)
            response.headers["WWW-Authenticate"] = 'Bearer realm="Hilum"'
            return response
        raise
    if not in_browser:
        told = {
            "access_token": opened.token,
            "token_type": "Bearer",
            "expires_in": opened.seconds,
            "dicomweb": _base_of(share, base),
            "studies": _studies_of(share),
        }
        return JSONResponse(told, headers=_PRIVATE)
    prefix = base.removesuffix(DICOMWEB)
    response = RedirectResponse(f"{urlsplit(prefix).path}{SHARE}/{secret}", 303, _PRIVATE)
    for address in (prefix + SHARE, base):
        Cookie.of(address, SHARE_COOKIE).give(response, opened.token, opened.seconds)
    return response


def _base_of(share: StoredShare, base: str) -> str:
    return base + DEIDENTIFIED if share.uid_key else base


def _studies_of(share: StoredShare) -> list[str]:
    """Their UIDs, as whom it is shared with knows them."""
    if not share.uid_key:
        return share.studies
    return list(map(Deidentifier(share.uid_key).uid, share.studies))


async def _found(archive: ArchiveOf, request: Request, secret: str) -> StoredShare:
    if len(secret) > LONGEST_SECRET:
        raise NoSuchLink
    share = await share_of_link(archive.database, secret)
    _comes(request, share)
    return share


def _comes(request: Request, share: StoredShare) -> None:
    """From now on it is known who asks."""
    request.state.principal = guest_of(share)


def _session(request: Request, base: str) -> str | None:
    headers = request.scope["headers"]
    values = Cookie.of(base.removesuffix(DICOMWEB) + SHARE, SHARE_COOKIE).values_in(headers)
    return values[0] if len(values) == 1 and is_of_our_site(headers, base) else None


async def _password(request: Request) -> str | None:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LONGEST_FORM:
            raise BadRequest(f"The body is longer than {LONGEST_FORM} bytes.")
    if not body:
        return None
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        try:
            fields = parse_qs(body.decode("latin-1"), max_num_fields=MOST_FIELDS)
        except ValueError as error:
            raise BadRequest(f"The form has more than {MOST_FIELDS} fields.") from error
        return fields.get("password", [None])[0]
    try:
        given: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest("The body is no JSON.") from error
    password = given.get("password") if isinstance(given, dict) else None
    if password is not None and not isinstance(password, str):
        raise BadRequest("The password is no text.")
    return password


def _page(html: str, status: int = 200) -> Response:
    return Response(html, status, _PAGE, "text/html")
