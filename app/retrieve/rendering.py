"""`Rendering`: how frames are to be shown, read from the query parameters (PS3.18 8.3.5)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from app.dicom.mediatypes import RENDERED_OFFERS
from app.dicom.presentation import Window
from app.dicom.viewport import Viewport
from app.errors import InvalidParameter

FRAME_OFFERS = RENDERED_OFFERS
"""What one frame can be shown as."""
SET_OFFERS = (*(replace(offer, multipart=True) for offer in FRAME_OFFERS), *FRAME_OFFERS)
"""What a study or a series can be shown as: one image of each instance, or one for all."""

THUMBNAIL = Viewport(200, 200, enlarge=False)
"""The size of a thumbnail, if no other is asked for."""

_NOT_SUPPORTED = {
    "annotation": "No annotation has been applied.",
    "iccprofile": "No colour profile has been embedded.",
}


@dataclass(frozen=True, slots=True)
class Rendering:
    """How a frame is to be shown."""

    media_type: str
    window: Window | None = None
    viewport: Viewport | None = None
    quality: int | None = None
    warnings: tuple[str, ...] = ()
    """What was asked for and is not done."""

    @classmethod
    def parse(cls, media_type: str, parameters: Mapping[str, str], largest: int) -> "Rendering":
        """Of the query parameters `window`, `viewport` and `quality`; others are passed over.

        `largest`: pixels of the image that is made. Raises `InvalidParameter`.
        """
        window, viewport = parameters.get("window"), parameters.get("viewport")
        return cls(
            media_type,
            None if window is None else Window.parse(window),
            None if viewport is None else Viewport.parse(viewport, largest),
            quality_of(parameters.get("quality")),
            tuple(
                f"The {name} parameter is not supported. {what}"
                for name, what in _NOT_SUPPORTED.items()
                if parameters.get(name, "no") != "no"
            ),
        )

    @classmethod
    def parse_thumbnail(
        cls, media_type: str, parameters: Mapping[str, str], largest: int
    ) -> "Rendering":
        """As `parse`, but always small, and the image whole. Raises `InvalidParameter`."""
        rendering = cls.parse(media_type, parameters, largest)
        viewport = rendering.viewport
        if viewport is None:
            return replace(rendering, viewport=THUMBNAIL)
        if "," in parameters["viewport"].replace(",", "", 1):
            raise InvalidParameter(
                "viewport", parameters["viewport"], "of a thumbnail must be vw,vh"
            )
        return replace(rendering, viewport=viewport.without_enlarging())


def quality_of(text: str | None, name: str = "quality") -> int | None:
    """The quality of a JPEG that a parameter of this name asks for. Raises `InvalidParameter`."""
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= 100):
        raise InvalidParameter(name, text, "must be an integer from 1 to 100")
    return int(text)
