"""Images whose pixels are known: what is stored, how it is asked for, and what has to be seen.

The pixels of a `Sight` are what a viewer works with: after the Modality LUT, colours as RGB.
"""

import copy
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_color_lut, pixel_array
from pydicom.uid import (
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from tests.factories import ct_dataset, part10

Pixels = NDArray[Any]
EXACTLY = 0
A_ROUNDING = 1
"""Two decoders of lossy JPEG may round differently."""
CHROMA = 4
"""Nor do they agree how a halved chroma plane is stretched."""


@dataclass(frozen=True)
class Sight:
    """One image, asked for in one way; `frames` are its pixels, one array each."""

    name: str
    file: bytes
    frames: tuple[Pixels, ...]
    syntax: str
    """The transfer syntax in which the frames have to come."""
    accept: str | None = None
    """What is asked for in place of the loader's own choice, which is as stored."""
    tolerance: int = EXACTLY


def sights() -> Iterator[Sight]:
    """Every image that the test looks at."""
    for recoded in (False, True):
        for name, source in (("CT", _ct()), ("signed", _signed()), ("colour", _colour())):
            yield from _in_every_syntax(name, source, recoded)
    yield from _of_pydicom()


def _ct() -> Dataset:
    ramp = np.arange(64 * 48, dtype="<u2").reshape(64, 48) % 4096
    return ct_dataset(Rows=64, Columns=48, PixelData=ramp.tobytes())


def _signed() -> Dataset:
    """Three frames of signed samples with no Modality LUT."""
    frames = np.arange(-4000, -4000 + 3 * 40 * 32, dtype="<i2").reshape(3, 40, 32)
    return ct_dataset(
        **_shape(frames[0], 16),
        NumberOfFrames=3,
        PixelRepresentation=1,
        RescaleSlope=None,
        RescaleIntercept=None,
        PixelData=frames.tobytes(),
    )


def _colour() -> Dataset:
    """Two frames of smooth colours, without a Modality LUT."""
    row, column = np.mgrid[0:40, 0:32]
    one = np.stack([row * 6, column * 7, 255 - row - column], axis=-1).astype(np.uint8)
    frames = np.stack([one, one[::-1]])
    return ct_dataset(
        **_shape(one, 8),
        NumberOfFrames=2,
        SamplesPerPixel=3,
        PlanarConfiguration=0,
        PhotometricInterpretation="RGB",
        RescaleSlope=None,
        RescaleIntercept=None,
        PixelData=frames.tobytes(),
    )


def _shape(frame: Pixels, bits: int) -> dict[str, int]:
    rows, columns = frame.shape[:2]
    return {
        "Rows": rows,
        "Columns": columns,
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
    }


def _jpegls(frame: Pixels) -> bytes:
    return bytes(imagecodecs.jpegls_encode(_unsigned(frame)))


def _jpeg2000(frame: Pixels) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(frame, codecformat="j2k", reversible=True, mct=False))


def _htj2k(frame: Pixels) -> bytes:
    return bytes(imagecodecs.htj2k_encode(frame, reversible=True, rgb=frame.ndim == 3))


def _unsigned(frame: Pixels) -> Pixels:
    return frame.view(f"u{frame.itemsize}")


LOSSLESS: dict[str, tuple[str, Callable[[Pixels], bytes] | None]] = {
    ImplicitVRLittleEndian: ("application/octet-stream", None),
    RLELossless: ("image/dicom-rle", None),
    JPEGLSLossless: ("image/jls", _jpegls),
    JPEG2000Lossless: ("image/jp2", _jpeg2000),
    HTJ2KLossless: ("image/jphc", _htj2k),
}


def _in_every_syntax(name: str, source: Dataset, recoded: bool) -> Iterator[Sight]:
    """Stored in each syntax; or stored native, and coded by the archive as it is asked for."""
    frames = _frames(source)
    for syntax, (media_type, encode) in LOSSLESS.items():
        dataset = _renamed(source)
        if recoded:
            accept = f'multipart/related; type="{media_type}"; transfer-syntax={syntax}'
            label = f"{name}, coded by the archive in {syntax}"
            if syntax != ImplicitVRLittleEndian:
                yield Sight(label, part10(dataset), frames, syntax, accept)
            continue
        stored = _stored(dataset, syntax, encode)
        # Native samples are sent as Explicit VR Little Endian has them.
        sent = "1.2.840.10008.1.2.1" if syntax == ImplicitVRLittleEndian else syntax
        yield Sight(f"{name}, stored in {syntax}", stored, frames, sent)


def _stored(dataset: Dataset, syntax: str, encode: Callable[[Pixels], bytes] | None) -> bytes:
    if encode is not None:
        dataset.PixelData = encapsulate([encode(frame) for frame in _raw(dataset)])
        dataset["PixelData"].VR = "OB"
        if syntax == HTJ2KLossless and dataset.SamplesPerPixel == 3:
            dataset.PhotometricInterpretation = "YBR_RCT"
        return part10(dataset, syntax)
    if syntax == RLELossless:
        native = dcmread(io.BytesIO(part10(dataset)))
        native.compress(syntax, generate_instance_uid=False)
        file = io.BytesIO()
        native.save_as(file)
        return file.getvalue()
    return part10(dataset, syntax)


def _raw(dataset: Dataset) -> list[Pixels]:
    """The samples as they are stored, one array a frame."""
    array = pixel_array(dcmread(io.BytesIO(part10(dataset))), raw=True)
    return list(array) if dataset.get("NumberOfFrames", 1) > 1 else [array]


def _frames(dataset: Dataset) -> tuple[Pixels, ...]:
    """What a viewer shows of native samples."""
    slope, intercept = dataset.get("RescaleSlope", 1), dataset.get("RescaleIntercept", 0)
    return tuple(frame * float(slope) + float(intercept) for frame in _raw(dataset))


def _renamed(source: Dataset) -> Dataset:
    """A copy that is an instance of a study of its own."""
    dataset = copy.deepcopy(source)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        setattr(dataset, keyword, generate_uid())
    return dataset


@dataclass(frozen=True)
class Sample:
    """A file that pydicom comes with; `truth` is another with the same pixels in the clear."""

    name: str
    truth: str | None = None
    tolerance: int = EXACTLY


SAMPLES = (
    Sample("CT_small.dcm"),
    Sample("MR_small_implicit.dcm", "MR_small.dcm"),
    Sample("MR_small_bigendian.dcm", "MR_small.dcm"),
    Sample("MR_small_RLE.dcm", "MR_small.dcm"),
    Sample("MR_small_jp2klossless.dcm", "MR_small.dcm"),
    Sample("MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm"),
    Sample("SC_rgb_rle_2frame.dcm"),
    Sample("ExplVR_BigEnd.dcm"),
    Sample("image_dfl.dcm"),
    Sample("rtdose.dcm"),
    Sample("SC_rgb_jpeg_gdcm.dcm", "SC_rgb_rle.dcm"),
    Sample("693_J2KI.dcm", tolerance=A_ROUNDING),
    Sample("examples_palette.dcm"),
    Sample("examples_jpeg2k.dcm"),
    Sample("examples_ybr_color.dcm", tolerance=CHROMA),
    Sample("SC_rgb_jpeg_dcmtk.dcm", tolerance=CHROMA),
    Sample("SC_rgb_dcmtk_+eb+cr.dcm", tolerance=A_ROUNDING),
)


def _of_pydicom() -> Iterator[Sight]:
    for sample in SAMPLES:
        dataset = dcmread(str(get_testdata_file(sample.name)))
        truth = dcmread(str(get_testdata_file(sample.truth or sample.name)))
        syntax = dataset.file_meta.TransferSyntaxUID
        as_it_is = syntax.is_encapsulated or not syntax.is_little_endian
        sent = syntax if as_it_is else "1.2.840.10008.1.2.1"
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            setattr(dataset, keyword, generate_uid())
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        file = io.BytesIO()
        dataset.save_as(file)
        yield Sight(
            f"pydicom's {sample.name}",
            file.getvalue(),
            _seen(truth),
            sent,
            tolerance=sample.tolerance,
        )


def _seen(dataset: Dataset) -> tuple[Pixels, ...]:
    array = pixel_array(dataset)
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        array = apply_color_lut(array, dataset)
        array = array >> 8 if array.dtype == np.uint16 else array
    slope, intercept = dataset.get("RescaleSlope", 1), dataset.get("RescaleIntercept", 0)
    frames = array if int(dataset.get("NumberOfFrames", 1) or 1) > 1 else array[np.newaxis]
    return tuple(frame * float(slope) + float(intercept) for frame in frames)
