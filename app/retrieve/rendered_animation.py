"""An instance of several frames as one GIF that moves, made frame by frame while it is sent.

Rules:
- Before the answer has begun the sandbox may be too busy; after that it is waited for.
- A frame that turns out to be broken ends the answer, and not as if it were whole: what is left out
  of a run changes what it shows.
"""

import hashlib
from collections.abc import AsyncGenerator

from starlette.responses import Response

from app.dicom import animation
from app.dicom.mediatypes import GIF
from app.errors import TooLarge
from app.index.instances import StoredInstance
from app.retrieve.asking import Ask
from app.retrieve.patience import patiently
from app.retrieve.rendered import Film, Frame, opened
from app.retrieve.rendered_response import headers_of, with_warnings
from app.retrieve.rendering import Rendering
from app.retrieve.stream import ahead
from app.web.responses import StreamingResponse, not_modified, strong_etag


async def animation_response(ask: Ask, instance: StoredInstance, rendering: Rendering) -> Response:
    """The answer that shows all the frames, or 304. Raises `TooLarge`, and as `render_frame`."""
    frames = instance.number_of_frames or 0
    most = ask.archive.settings.limits.rendered_frames
    if frames > most:
        raise TooLarge(f"There are {frames} frames; at most {most} are animated.")
    of_first = Frame(instance, 1).validator(rendering)
    etag = strong_etag(hashlib.blake2b(f"all {of_first}".encode(), digest_size=16).hexdigest())
    unchanged = not_modified(ask.request, etag)
    if unchanged is not None:
        return unchanged
    response = StreamingResponse(
        ahead(_pieces(ask, instance, rendering, frames)), media_type=GIF, headers=headers_of(etag)
    )
    return with_warnings(ask, response, rendering.warnings)


async def _pieces(
    ask: Ask, instance: StoredInstance, rendering: Rendering, frames: int
) -> AsyncGenerator[bytes]:
    numbers = range(1, frames + 1)
    async with opened(ask.archive, ask.visibility, instance, numbers) as film:
        lasting = animation.durations(film.attributes, frames)
        for number, hundredths in zip(numbers, lasting, strict=True):
            image = await _image(film, number, rendering)
            piece = animation.frame(image, hundredths)
            yield animation.head(image) + piece if number == 1 else piece
    yield animation.END


async def _image(film: Film, number: int, rendering: Rendering) -> bytes:
    key = Frame(film.instance, number).key(rendering, film.visibility)
    kept = await film.archive.cache.get(key)
    if kept is not None:
        return kept
    if number == 1:
        return await film.render(number, rendering)
    return await patiently(lambda: film.render(number, rendering))
