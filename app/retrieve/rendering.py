"""`Rendering`: how frames are to be shown, read from the query parameters (PS3.18 8.3.5)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from app.dicom.annotation import Topic
from app.dicom.icc import ColourSpace
from app.dicom.mediatypes import GIF, RENDERED_OFFERS
from app.dicom.presentation import Window
from app.dicom.viewport import Viewport
from app.errors import InvalidParameter

FRAME_OFFERS = RENDERED_OFFERS
"""What one frame can be shown as."""
SET_OFFERS = (*(replace(offer, multipart=True) for offer in FRAME_OFFERS), *FRAME_OFFERS)
"""What a study or a series can be shown as: one image of each instance, or one for all."""

PARAMETERS = ("window", "viewport", "quality", "annotation", "iccprofile")
THUMBNAIL = Viewport(200, 200, enlarge=False)
"""The size of a thumbnail, if no other is asked for."""
_KEYWORD = re.compile(r"[a-z][a-z0-9-]{0,31}")
_MOST_KEYWORDS = 16


@dataclass(frozen=True, slots=True)
class Rendering:
    """How a frame is to be shown."""

    media_type: str
    window: Window | None = None
    viewport: Viewport | None = None
    quality: int | None = None
    topics: tuple[Topic, ...] = ()
    """What is written into the image."""
    colour_space: ColourSpace | None = None
    warnings: tuple[str, ...] = ()
    """What was asked for and is not done."""
    bare: bool = False
    """Without overlays, and without what else is in the file of a JPEG."""

    @classmethod
    def parse(cls, media_type: str, parameters: Mapping[str, str], largest: int) -> "Rendering":
        """Of the query parameters of PS3.18 8.3.5.1; others are passed over.

        `largest`: pixels of the image that is made. Raises `InvalidParameter`.
        """
        window, viewport = parameters.get("window"), parameters.get("viewport")
        topics, warnings = topics_of(parameters.get("annotation"))
        return cls(
            media_type,
            None if window is None else Window.parse(window),
            None if viewport is None else Viewport.parse(viewport, largest),
            quality_of(parameters.get("quality")),
            topics,
            colour_space_of(parameters.get("iccprofile"), media_type),
            warnings,
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


def topics_of(text: str | None) -> tuple[tuple[Topic, ...], tuple[str, ...]]:
    """What the `annotation` parameter asks for, and warnings of keywords that mean nothing here.

    Raises `InvalidParameter` for what is no keyword at all.
    """
    if text is None:
        return (), ()
    keywords = [keyword.strip().lower() for keyword in text.split(",")]
    if not all(map(_KEYWORD.fullmatch, keywords)) or len(keywords) > _MOST_KEYWORDS:
        raise InvalidParameter("annotation", text, f"must be of the keywords {', '.join(Topic)}")
    unknown = ", ".join(dict.fromkeys(word for word in keywords if word not in set(Topic)))
    warned = (f"The following annotation values are not supported: {unknown}",) if unknown else ()
    return tuple(topic for topic in Topic if topic in keywords), warned


def colour_space_of(text: str | None, media_type: str) -> ColourSpace | None:
    """What the `iccprofile` parameter asks for. Raises `InvalidParameter`."""
    if text is None:
        return None
    try:
        space = ColourSpace(text.strip().lower())
    except ValueError as error:
        spaces = ", ".join(ColourSpace)
        raise InvalidParameter("iccprofile", text, f"must be one of {spaces}") from error
    if media_type == GIF and space is not ColourSpace.NONE:
        raise InvalidParameter("iccprofile", text, f"there are no profiles in {GIF}")
    return space
