"""A token in exchange for what a browser can send by itself: a cookie, or a part of an address.

    /dicomweb/session                   POST  GET  DELETE
    /dicomweb/studies/{study}/token     POST

An extension. The cookie opens to `<img>`, `<video>` and `<iframe>` what the token may look at, and
is good for GET and HEAD of DICOMweb alone; DELETE ends it for every process at once. The token of
one study is good for five minutes, as `access_token` in addresses of what belongs to the study.
"""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.access import sessions
from app.errors import Forbidden, NotFound
from app.sessions.service import open_study
from app.web.cookies import Cookie, is_of_our_site
from app.web.dependencies import DICOMWEB, ArchiveOf, BaseUrl, Reader
from app.web.plain_json import answer
from app.web.study_tokens import PARAMETER

router = APIRouter(prefix=DICOMWEB, tags=["Sessions"])


@router.post("/session", status_code=201)
async def open_session(
    caller: Reader, archive: ArchiveOf, base: BaseUrl, request: Request
) -> Response:
    """Give the caller a cookie with which the browser may look at what the caller may."""
    if not is_of_our_site(request.scope["headers"], base):
        # Somebody's page would have the browser look with that somebody's eyes.
        raise Forbidden("A session is opened by a page of this site only.")
    seconds = archive.settings.session_seconds
    opened = await sessions.open_session(archive.database, caller, seconds)
    response = _told(opened.expires_at.isoformat(), 201)
    Cookie.of(base).give(response, opened.secret, opened.seconds)
    return response


@router.get("/session")
async def describe_session(caller: Reader) -> Response:
    """Until when the cookie, or whatever else the caller has come with, is good."""
    return _told(caller.expires_at.isoformat() if caller.expires_at else None)


@router.delete("/session", status_code=204)
async def end_session(_: Reader, archive: ArchiveOf, base: BaseUrl, request: Request) -> Response:
    """End the session of the cookie that comes with the request, at once and everywhere."""
    cookie = Cookie.of(base)
    ended = False
    for value in cookie.values_in(request.scope["headers"]):
        ended = await sessions.end_session(archive.database, value) or ended
    if not ended:
        raise NotFound("There is no such session.")
    response = Response(status_code=204)
    cookie.take_back(response)
    return response


@router.post("/studies/{study}/token", status_code=201)
async def token_of_study(caller: Reader, archive: ArchiveOf, study: str) -> Response:
    """Give the caller a token that opens this study in an address, for five minutes."""
    opened = await open_study(archive, caller, study)
    content = {PARAMETER: opened.secret, "expires_at": opened.expires_at.isoformat()}
    return answer(content, 201)


def _told(expires_at: str | None, status: int = 200) -> Response:
    return answer({"expires_at": expires_at}, status)
