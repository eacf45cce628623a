"""What the answers of all rooms have in common: DICOM JSON, validators, warnings, streams."""

import asyncio
import re
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.web.errors import PreconditionFailed

DICOM_JSON = "application/dicom+json"
"""Without a charset: clients compare the header as a whole."""
REVALIDATE = "private, no-cache"
"""The caller alone may keep it, and asks each time whether it is still right."""
VARY = "Accept, Accept-Encoding, Authorization"

GZIP_FROM_BYTES = 1024
GZIP_IN_THREAD_FROM_BYTES = 64 * 1024
GZIP_LEVEL = 1
GZIP_WINDOW = zlib.MAX_WBITS | 16

_CODING = re.compile(r"(gzip|\*)(?:\s*;\s*q\s*=\s*([0-9.]+))?", re.I)
_LINE_BREAKS_AND_BEYOND_LATIN_1 = re.compile(r"[^\x20-\x7e\xa0-\xff]")


def accepts_gzip(accept_encoding: str | None) -> bool:
    """Whether an Accept-Encoding header allows gzip."""
    codings = map(_CODING.fullmatch, map(str.strip, (accept_encoding or "").split(",")))
    weights = {found[1].lower(): found[2] for found in codings if found is not None}
    weight = weights.get("gzip", weights.get("*", "0"))
    return weight is None or weight.strip("0.") != ""


def warning(base: str, text: str) -> str:
    """The value of a Warning header as PS3.18 words it; `base` is the DICOMweb base URL."""
    return _LINE_BREAKS_AND_BEYOND_LATIN_1.sub("?", f"299 {base}: {text}")


def strong_etag(*parts: object) -> str:
    """A validator made of what decides about the bytes of a representation."""
    return f'"{"-".join(map(str, parts))}"'


def etag_of_json(request: Request, validator: str) -> str:
    """The validator of JSON that is sent compressed to who takes that: of other bytes, another."""
    if accepts_gzip(request.headers.get("accept-encoding")):
        return strong_etag(validator, "gzip")
    return strong_etag(validator)


def not_modified(request: Request, etag: str) -> Response | None:
    """304 if the caller already has the representation with this validator, else None.

    Raises `PreconditionFailed` if it wants none but another one (RFC 9110 13.2.2).
    """
    wanted = request.headers.get("if-match")
    if wanted is not None and {"*", etag}.isdisjoint(tag.strip() for tag in wanted.split(",")):
        raise PreconditionFailed
    known = request.headers.get("if-none-match")
    if known is None:
        return None
    tags = {tag.strip().removeprefix("W/") for tag in known.split(",")}
    if "*" not in tags and etag.removeprefix("W/") not in tags:
        return None
    return Response(None, 304, {"ETag": etag, "Cache-Control": REVALIDATE, "Vary": VARY})


async def dicom_json(
    request: Request,
    body: bytes,
    *,
    status: int = 200,
    media_type: str = DICOM_JSON,
    etag: str | None = None,
    warnings: Sequence[str] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """JSON that is in memory, compressed if the caller takes that and it is worth it.

    `warnings` are values of Warning headers, made by `warning`; `etag` is made by `etag_of_json`.
    """
    accepted = accepts_gzip(request.headers.get("accept-encoding"))
    compressed = len(body) >= GZIP_FROM_BYTES and accepted
    if compressed:
        body = await _gzipped(body)
    response = Response(body, status, headers, media_type)
    response.headers.setdefault("Cache-Control", REVALIDATE)
    response.headers.setdefault("Vary", VARY)
    if compressed:
        response.headers["Content-Encoding"] = "gzip"
    if etag:
        response.headers["ETag"] = etag
    for value in warnings:
        response.headers.append("Warning", value)
    return response


async def _gzipped(body: bytes) -> bytes:
    def work() -> bytes:
        return zlib.compress(body, GZIP_LEVEL, GZIP_WINDOW)

    return work() if len(body) < GZIP_IN_THREAD_FROM_BYTES else await asyncio.to_thread(work)


class ResponseOfPieces(Response):
    """An answer that is in memory in pieces, at least one, which are not copied to be joined."""

    def __init__(
        self, body: Sequence[bytes], status: int, headers: Mapping[str, str], media_type: str
    ) -> None:
        super().__init__(None, status, headers, media_type)
        self.headers["Content-Length"] = str(sum(map(len, body)))
        self._pieces = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.raw_headers,
        }
        await send(start)
        last = len(self._pieces) - 1
        for number, piece in enumerate(self._pieces):
            more = number < last
            await send({"type": "http.response.body", "body": piece, "more_body": more})


class StreamingResponse(Response):
    """An answer whose body is made while it is sent; what is small and at hand is a `Response`.

    The first piece is made before the status goes out, so that an error until then is answered as
    what it is. A body that fails later ends in a closed connection, never as if it were whole. The
    making ends when the caller goes away; who takes too little is cut off by the server
    (`app.web.protocol`).
    """

    def __init__(
        self,
        body: AsyncIterator[bytes],
        *,
        media_type: str,
        status: int = 200,
        length: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """`length`: of the whole body in bytes, if it is known."""
        self.status_code = status
        self.media_type = media_type
        self.background = None
        self._pieces = body
        self._begun = False
        self._first: bytes | None = None
        self.init_headers(headers)
        if length is not None:
            self.headers["Content-Length"] = str(length)

    async def begin(self) -> None:
        """Make the first piece, so that what goes wrong with it is raised here."""
        self._first = await anext(self._pieces, None)
        self._begun = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.create_task(_disconnected(receive))
        try:
            if not self._begun:
                await self.begin()
            piece, self._first = self._first, None
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            while piece is not None:
                if gone.done():
                    return
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                piece = await anext(self._pieces, None)
            await send({"type": "http.response.body"})
        finally:
            gone.cancel()
            if isinstance(self._pieces, AsyncGenerator):
                await self._pieces.aclose()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
