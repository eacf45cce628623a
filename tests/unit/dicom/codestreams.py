"""Small images of every compression, as whoever photographs or scans has them."""

import imagecodecs
import numpy as np
from numpy.typing import NDArray

ROWS, COLUMNS = 6, 8
GREY = np.arange(48, dtype=np.uint8).reshape(ROWS, COLUMNS)
RGB = np.arange(144, dtype=np.uint8).reshape(ROWS, COLUMNS, 3)
DEEP = GREY.astype("u2") * 80
"""Of 12 bits."""

Image = NDArray[np.uint8] | NDArray[np.uint16]


def jpeg(image: Image, *, lossless: bool = False, bits: int = 8) -> bytes:
    """Of the process of JPEG Baseline, Extended or Lossless that the arguments need."""
    return bytes(imagecodecs.jpeg8_encode(image, lossless=lossless, bitspersample=bits))


def jpeg_ls(image: Image, *, near: int = 0) -> bytes:
    """Lossless, or near to it."""
    return bytes(imagecodecs.jpegls_encode(image, level=near))


def jpeg_2000(image: Image, *, lossless: bool = True, boxes: bool = False) -> bytes:
    """A codestream, or with boxes the JP2 file around it."""
    form = "jp2" if boxes else "j2k"
    level = 0 if lossless else 30
    return bytes(
        imagecodecs.jpeg2k_encode(
            image, level=level, codecformat=form, reversible=lossless, mct=image.ndim == 3
        )
    )


def htj2k(image: Image, *, lossless: bool = True) -> bytes:
    """High-Throughput JPEG 2000."""
    return bytes(imagecodecs.htj2k_encode(image, reversible=lossless))
