"""One frame from its stored bytes to an image file: every stage of it, as one job.

    draw(data, drawing) -> JPEG or PNG

A `Drawing` is a plain value, so that the job can be done in another process than the one that
found out what it is.
"""

from dataclasses import dataclass

from app.dicom.description import PixelDescription, whole_cells
from app.dicom.frames import join_fragments
from app.dicom.native import Samples
from app.dicom.pixels import LARGEST_FRAME, decode_frame, is_plain_jpeg
from app.dicom.presentation import Presentation, Window
from app.dicom.render import JPEG, encode, render, shown_as_stored
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
    image = render(
        samples,
        drawing.presentation,
        window=drawing.window,
        viewport=drawing.viewport,
        cells=cells,
    )
    return encode(image, drawing.media_type, drawing.quality)


def drawn_already(data: bytes, drawing: Drawing) -> bytes | None:
    """The frame as it is stored, if that is the JPEG to send; None if it has to be drawn.

    Takes no time and trusts no decoder. `data` and errors as of `draw`.
    """
    colour = drawing.description.samples_per_pixel > 1
    changed = drawing.viewport or drawing.quality or (drawing.window and not colour)
    if drawing.media_type != JPEG or changed:
        return None
    if not shown_as_stored(drawing.presentation, colour=colour):
        return None
    stored = _codestream(data, drawing.description)
    return stored if is_plain_jpeg(stored, drawing.description) else None


def _codestream(data: bytes, description: PixelDescription) -> bytes:
    encapsulated = transfer_syntax(description.transfer_syntax_uid).encapsulated
    return join_fragments(data) if encapsulated else data
