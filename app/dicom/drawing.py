"""One frame from its stored bytes to an image file: every stage of it, as one job.

    draw(data, drawing) -> JPEG, PNG or GIF

A `Drawing` is a plain value, so that the job can be done in another process than the one that
found out what it is.
"""

import io
from dataclasses import dataclass

import PIL.Image

from app.dicom.annotation import Annotation, burn
from app.dicom.canvas import composed
from app.dicom.description import PixelDescription, whole_cells
from app.dicom.frames import join_fragments
from app.dicom.icc import ColourSpace, in_profile
from app.dicom.imagefiles import encode
from app.dicom.mediatypes import JPEG
from app.dicom.native import Samples
from app.dicom.pixels import JPEG_BASELINE, LARGEST_FRAME, decode_frame, is_plain_jpeg
from app.dicom.presentation import Presentation, Window
from app.dicom.render import render, shown_as_stored
from app.dicom.softcopy import Softcopy
from app.dicom.uids import transfer_syntax
from app.dicom.viewport import Viewport


@dataclass(frozen=True, slots=True)
class Drawing:
    """What the bytes of a frame are, and how it is to be shown."""

    description: PixelDescription
    presentation: Presentation
    media_type: str
    window: Window | None = None
    """Instead of that of the presentation."""
    viewport: Viewport | None = None
    quality: int | None = None
    """1 to 100, of a JPEG."""
    first_bit: int = 0
    """Of the stored bytes, where a native frame begins."""
    largest: int = LARGEST_FRAME
    """Pixels of a frame that is decoded."""
    colour_space: ColourSpace | None = None
    """What the colours are to be of, if that was asked."""
    profile: bytes = b""
    """Of the colours of the frame, as the data set says."""
    annotation: Annotation | None = None
    softcopy: Softcopy | None = None
    """What a presentation state says; its presentation is that of the drawing."""


def draw(data: bytes, drawing: Drawing) -> bytes:
    """The frame as an image file.

    `data`: its native bytes, or the items of its fragments. Raises `TooLarge`, `Unprocessable`,
    `NotAcceptable`, and `InvalidParameter` for a viewport that sees nothing of it.
    """
    stored = _codestream(data, drawing.description)

    def decoded(description: PixelDescription) -> Samples:
        return decode_frame(
            stored, description, first_bit=drawing.first_bit, largest=drawing.largest
        )

    samples, cells = decoded(drawing.description), None
    if any(overlay.cell_bit is not None for overlay in drawing.presentation.overlays):
        cells = decoded(whole_cells(drawing.description))
    softcopy = drawing.softcopy
    image = render(
        samples,
        drawing.presentation,
        window=drawing.window,
        viewport=None if softcopy else drawing.viewport,
        cells=cells,
    )
    if softcopy is not None:
        image = composed(image, softcopy, drawing.viewport, drawing.largest)
    profile = None
    if drawing.colour_space not in (None, ColourSpace.NONE):
        own = drawing.profile or _embedded_profile(stored, drawing.description)
        image, profile = in_profile(image, drawing.colour_space, own)
    if drawing.annotation is not None:
        image = burn(image, drawing.annotation)
    return encode(image, drawing.media_type, drawing.quality, profile)


def drawn_already(data: bytes, drawing: Drawing) -> bytes | None:
    """The frame as it is stored, if that is the JPEG to send; None if it has to be drawn.

    Takes no time and trusts no decoder. `data` and errors as of `draw`.
    """
    colour = drawing.description.samples_per_pixel > 1
    asked = drawing.viewport, drawing.quality, drawing.colour_space
    added = drawing.annotation, drawing.softcopy
    changed = (
        any(asked) or any(each is not None for each in added) or (drawing.window and not colour)
    )
    if drawing.media_type != JPEG or changed:
        return None
    if not shown_as_stored(drawing.presentation, colour=colour):
        return None
    stored = _codestream(data, drawing.description)
    return stored if is_plain_jpeg(stored, drawing.description) else None


def _codestream(data: bytes, description: PixelDescription) -> bytes:
    encapsulated = transfer_syntax(description.transfer_syntax_uid).encapsulated
    return join_fragments(data) if encapsulated else data


def _embedded_profile(stored: bytes, description: PixelDescription) -> bytes:
    """The colour profile in the codestream of a JPEG; b"" if there is none."""
    if description.transfer_syntax_uid != JPEG_BASELINE:
        return b""
    try:
        with PIL.Image.open(io.BytesIO(stored), formats=["JPEG"]) as picture:
            profile: bytes = picture.info.get("icc_profile") or b""
    except (OSError, SyntaxError, ValueError):
        return b""
    return profile
