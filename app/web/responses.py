"""What the answers of all rooms have in common: DICOM JSON, validators, warnings, streams."""

from collections.abc import AsyncIterable, Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response

DICOM_JSON = "application/dicom+json"
"""Without a charset: clients compare the header as a whole."""
REVALIDATE = "private, no-cache"
"""May be kept by the caller alone, who asks each time whether it is still right."""


async def dicom_json(
    request: Request,
    body: bytes,
    *,
    status: int = 200,
    etag: str | None = None,
    warnings: Sequence[str] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """DICOM JSON that is in memory, compressed if the caller takes that and it is worth it."""
    return Response(body, status, headers, DICOM_JSON)


def warning(base: str, text: str) -> str:
    """The value of a Warning header as PS3.18 wants it; `base` is the DICOMweb base URL."""
    return f"299 {base}: {text}"


class StreamingResponse(Response):
    """An answer whose body is made while it is sent.

    The first piece is made before the status is sent, so that an error until then is answered as
    such. A body that fails later ends in a closed connection, never as if it were whole.
    """

    def __init__(
        self,
        body: AsyncIterable[bytes],
        *,
        media_type: str,
        status: int = 200,
        length: int | None = None,
        etag: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """`length`: of the whole body in bytes, if it is known."""
        super().__init__(None, status, headers, media_type)
        self._pieces = body
