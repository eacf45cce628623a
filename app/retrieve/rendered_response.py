"""A rendered frame as an answer: validators, 304, warnings."""

from collections.abc import Sequence

from starlette.responses import Response

from app.retrieve.asking import Ask
from app.retrieve.rendered import Frame, render_frame
from app.retrieve.rendering import Rendering
from app.web.responses import REVALIDATE, VARY, not_modified, strong_etag, warning


async def image_response(ask: Ask, frame: Frame, rendering: Rendering) -> Response:
    """The answer that shows the frame, or 304. Raises what `render_frame` does."""
    etag = strong_etag(frame.validator(rendering))
    unchanged = not_modified(ask.request, etag)
    if unchanged is not None:
        return unchanged
    image = await render_frame(ask.archive, ask.visibility, frame, rendering)
    response = Response(image, 200, headers_of(etag), rendering.media_type)
    return with_warnings(ask, response, rendering.warnings)


def headers_of(etag: str) -> dict[str, str]:
    """What every rendered answer says of itself."""
    return {"ETag": etag, "Cache-Control": REVALIDATE, "Vary": VARY}


def with_warnings(ask: Ask, response: Response, texts: Sequence[str]) -> Response:
    """The response, with a Warning header for each of the texts."""
    for text in texts:
        response.headers.append("Warning", warning(ask.base, text))
    return response
