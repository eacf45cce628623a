"""Tokens of one study, in the address: `GET /dicomweb/studies/1.2.3/rendered?access_token=...`.

Rules:
- The token is taken out of the address before anything else sees it, also if it is not good: no
  room, no log, no audit record and no link in an answer has it.
- It is good for GET and HEAD of what belongs to its study, and only there.
- The answer is kept by nobody, since it is found under an address that somebody else may learn.
"""

import re
from urllib.parse import unquote_plus

from starlette.types import Message, Scope, Send

from app.web.dependencies import DICOMWEB

PARAMETER = "access_token"
"""As RFC 6750 2.3 calls it."""

NOT_KEPT = b"cache-control", b"private, no-store"

_OF_STUDY = re.compile(
    re.escape(DICOMWEB) + r"/studies/([0-9.]+)"
    r"(?:/(?:series|instances|metadata|rendered|thumbnail|bulkdata|pixeldata)(?:/.*)?)?"
)


def take_tokens(scope: Scope) -> list[str]:
    """The tokens in the address of a request, which does not have them any more afterwards."""
    query: bytes = scope["query_string"]
    if PARAMETER.encode() not in query.lower() and b"%" not in query:
        return []
    kept, taken = [], []
    for pair in query.split(b"&"):
        name, _, value = pair.decode("latin-1").partition("=")
        if unquote_plus(name).strip().lower() == PARAMETER:
            taken.append(unquote_plus(value))
        else:
            kept.append(pair)
    if taken:
        scope["query_string"] = b"&".join(kept)
    return taken


def study_asked_for(scope: Scope) -> str | None:
    """The study to which belongs what is asked for; None if a token of one study is no good."""
    found = _OF_STUDY.fullmatch(scope["path"])
    return found[1] if found and scope["method"] in {"GET", "HEAD"} else None


def kept_by_nobody(send: Send) -> Send:
    """What sends an answer and says that nobody may keep it."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            others = [header for header in message["headers"] if header[0] != NOT_KEPT[0]]
            message["headers"] = [*others, NOT_KEPT]
        await send(message)

    return sent
