"""Whole slides of which every pixel is known: tiled full or sparse, in levels, in any encoding.

slide = make_slide(SPARSE, JPEG_2000, levels=2)
slide.levels[0].file      a VL Whole Slide Microscopy Image, as a Part 10 file
slide.levels[0].pixels    what a viewer shows of it: rows x columns x (red, green, blue)
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import ImageCms
from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.encaps import encapsulate
from pydicom.sr.coding import Code
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    VLWholeSlideMicroscopyImageStorage,
    generate_uid,
)

from tests.factories import part10

Pixels = NDArray[np.uint8]
FULL, SPARSE = "TILED_FULL", "TILED_SPARSE"
BACKGROUND = 255
"""What is shown where a sparse slide has no tile."""
POSITIONS = ("ColumnPositionInTotalImagePixelMatrix", "RowPositionInTotalImagePixelMatrix")
MICROMETRES = 0.5
"""Between two pixels of the first level."""


@dataclass(frozen=True)
class Encoding:
    """How tiles are stored, and what is seen of them."""

    syntax: str
    photometric_interpretation: str
    encode: Callable[[Pixels], bytes]
    decode: Callable[[bytes], Pixels] | None = None
    """Where something is lost."""


JPEG = Encoding(
    JPEGBaseline8Bit,
    "YBR_FULL_422",
    lambda tile: bytes(imagecodecs.jpeg8_encode(tile, level=90, subsampling="444")),
    imagecodecs.jpeg8_decode,
)
JPEG_2000 = Encoding(
    JPEG2000Lossless,
    "YBR_RCT",
    lambda tile: bytes(
        imagecodecs.jpeg2k_encode(tile, level=0, codecformat="j2k", reversible=True, mct=True)
    ),
)
NATIVE = Encoding(ExplicitVRLittleEndian, "RGB", lambda tile: tile.tobytes())


@dataclass(frozen=True)
class Level:
    """One instance of a slide."""

    file: bytes
    pixels: Pixels
    tiles: tuple[Pixels, ...]
    """The same as it comes, frame by frame."""
    uid: str


@dataclass(frozen=True)
class Slide:
    """A series whose levels are each half as large as the one before."""

    study: str
    series: str
    syntax: str
    tile: int
    levels: tuple[Level, ...]


def make_slide(
    organization: str,
    encoding: Encoding,
    *,
    size: tuple[int, int] = (450, 620),
    tile: int = 128,
    levels: int = 2,
) -> Slide:
    """A slide of `size` rows and columns at its first level. One that is sparse lacks a tile."""
    common = _common(organization, tile)
    made = []
    picture = _picture(*size)
    for level in range(levels):
        made.append(_level(common, encoding, picture, tile, level))
        picture = picture[::2, ::2]
    study, series = common.StudyInstanceUID, common.SeriesInstanceUID
    return Slide(study, series, encoding.syntax, tile, tuple(made))


def _picture(rows: int, columns: int) -> Pixels:
    """Smooth colours with a shape in them, so that no two tiles are alike."""
    row, column = np.mgrid[0:rows, 0:columns] / max(rows, columns)
    ring = 60 * np.cos(25 * np.hypot(row - 0.3, column - 0.4))
    colours = np.stack([200 * row + 30 + ring / 3, 200 * column + 30, 128 + ring], axis=-1)
    clipped: Pixels = np.clip(colours, 0, 254).astype(np.uint8)
    return clipped


def _level(common: Dataset, encoding: Encoding, picture: Pixels, tile: int, level: int) -> Level:
    dataset = Dataset()
    dataset.update(common)
    rows, columns = picture.shape[:2]
    dataset.SOPInstanceUID = generate_uid()
    dataset.InstanceNumber = level + 1
    dataset.ImageType = ["ORIGINAL" if level == 0 else "DERIVED", "PRIMARY", "VOLUME"]
    dataset.ImageType.append("NONE" if level == 0 else "RESAMPLED")
    dataset.PhotometricInterpretation = encoding.photometric_interpretation
    dataset.TotalPixelMatrixRows, dataset.TotalPixelMatrixColumns = rows, columns
    dataset.LossyImageCompression = "01" if encoding.decode else "00"
    if encoding.decode:
        dataset.LossyImageCompressionRatio = "10"
        dataset.LossyImageCompressionMethod = "ISO_10918_1"
    dataset.SharedFunctionalGroupsSequence = [_shared(dataset.ImageType, 2**level)]

    corners = list(_corners(rows, columns, tile))
    if common.DimensionOrganizationType == SPARSE:
        # In another order than that of a full slide, and without the one in the middle.
        corners = corners[::-1]
        corners.pop(len(corners) // 2)
        dataset.DimensionIndexSequence = [*map(_index, POSITIONS)]
        dataset.PerFrameFunctionalGroupsSequence = [_place(*corner) for corner in corners]
    padded = np.pad(picture, ((0, -rows % tile), (0, -columns % tile), (0, 0)), mode="edge")
    shown = np.full_like(padded, BACKGROUND)
    frames, tiles = [], []
    for top, left in corners:
        area = np.s_[top : top + tile, left : left + tile]
        frames.append(encoding.encode(np.ascontiguousarray(padded[area])))
        tiles.append(encoding.decode(frames[-1]) if encoding.decode else padded[area])
        shown[area] = tiles[-1]
    dataset.NumberOfFrames = len(frames)
    native = encoding is NATIVE
    dataset.PixelData = b"".join(frames) if native else encapsulate(frames)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = not native
    file = part10(dataset, encoding.syntax)
    return Level(file, shown[:rows, :columns], tuple(tiles), dataset.SOPInstanceUID)


def _corners(rows: int, columns: int, tile: int) -> Iterator[tuple[int, int]]:
    """Top and left of each tile, as a full slide has them."""
    for top in range(0, rows, tile):
        for left in range(0, columns, tile):
            yield top, left


def _common(organization: str, tile: int) -> Dataset:
    """What all levels say (PS3.3 A.32.8)."""
    dataset = Dataset()
    dataset.SOPClassUID = VLWholeSlideMicroscopyImageStorage
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        setattr(dataset, keyword, generate_uid())
    dataset.PyramidUID = generate_uid()
    dataset.StudyDate = dataset.ContentDate = "20240229"
    dataset.StudyTime = dataset.ContentTime = "101112"
    dataset.AcquisitionDateTime = "20240229101112"
    dataset.AccessionNumber = "SLIDE-1"
    dataset.Modality = "SM"
    dataset.Manufacturer = dataset.ManufacturerModelName = "Hilum"
    dataset.DeviceSerialNumber = dataset.SoftwareVersions = "1"
    dataset.ReferringPhysicianName = "House^Gregory"
    dataset.PatientName, dataset.PatientID = "Doe^Jane", "PID-1"
    dataset.PatientBirthDate, dataset.PatientSex = "19700101", "F"
    dataset.StudyID, dataset.SeriesNumber = "S1", 1
    dataset.PositionReferenceIndicator = "SLIDE_CORNER"
    dataset.VolumetricProperties = "VOLUME"
    dataset.BurnedInAnnotation = "NO"
    dataset.SpecimenLabelInImage = "NO"
    dataset.FocusMethod = "AUTO"
    dataset.ExtendedDepthOfField = "NO"
    dataset.AcquisitionContextSequence = []
    dataset.ContainerIdentifier = "SLIDE-1"
    dataset.IssuerOfTheContainerIdentifierSequence = []
    dataset.ContainerTypeCodeSequence = [_code(Code("433466003", "SCT", "Microscope slide"))]
    dataset.SpecimenDescriptionSequence = [_specimen()]

    dataset.SamplesPerPixel, dataset.PlanarConfiguration = 3, 0
    dataset.Rows = dataset.Columns = tile
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.ImagedVolumeWidth = dataset.ImagedVolumeHeight = 15.0
    dataset.ImagedVolumeDepth = 1.0
    dataset.ImageOrientationSlide = [0, 1, 0, 1, 0, 0]
    dataset.NumberOfOpticalPaths = dataset.TotalPixelMatrixFocalPlanes = 1
    origin = Dataset()
    origin.XOffsetInSlideCoordinateSystem = "5.0"
    origin.YOffsetInSlideCoordinateSystem = "5.0"
    dataset.TotalPixelMatrixOriginSequence = [origin]
    dataset.OpticalPathSequence = [_optical_path()]
    dataset.DimensionOrganizationType = organization
    organizer = Dataset()
    organizer.DimensionOrganizationUID = generate_uid()
    dataset.DimensionOrganizationSequence = [organizer]
    return dataset


def _code(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code[:3]
    return item


def _specimen() -> Dataset:
    specimen = Dataset()
    specimen.SpecimenIdentifier = "SPECIMEN-1"
    specimen.SpecimenUID = generate_uid()
    specimen.IssuerOfTheSpecimenIdentifierSequence = []
    specimen.SpecimenPreparationSequence = []
    return specimen


def _optical_path() -> Dataset:
    path = Dataset()
    path.OpticalPathIdentifier = "1"
    path.IlluminationTypeCodeSequence = [_code(Code("111744", "DCM", "Brightfield illumination"))]
    path.IlluminationColorCodeSequence = [_code(Code("414298005", "SCT", "Full Spectrum"))]
    profile = BytesIO(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    path.ICCProfile = profile.getvalue()
    path.ColorSpace = "SRGB"
    return path


def _shared(image_type: Any, scale: int) -> Dataset:
    """What all tiles of a level have in common."""
    measures, kind, groups = Dataset(), Dataset(), Dataset()
    spacing = scale * MICROMETRES / 1000
    measures.PixelSpacing = [spacing, spacing]
    measures.SliceThickness = 0.001
    kind.FrameType = list(image_type)
    groups.PixelMeasuresSequence = [measures]
    groups.WholeSlideMicroscopyImageFrameTypeSequence = [kind]
    optical = Dataset()
    optical.OpticalPathIdentifier = "1"
    groups.OpticalPathIdentificationSequence = [optical]
    return groups


def _index(keyword: str) -> Dataset:
    """That tiles are told apart by this attribute of their place."""
    index = Dataset()
    index.DimensionIndexPointer = tag_for_keyword(keyword)
    index.FunctionalGroupPointer = tag_for_keyword("PlanePositionSlideSequence")
    return index


def _place(top: int, left: int) -> Dataset:
    """Where a tile of a sparse slide is."""
    place, groups = Dataset(), Dataset()
    place.RowPositionInTotalImagePixelMatrix = top + 1
    place.ColumnPositionInTotalImagePixelMatrix = left + 1
    place.XOffsetInSlideCoordinateSystem = f"{5 + top * MICROMETRES / 1000:g}"
    place.YOffsetInSlideCoordinateSystem = f"{5 + left * MICROMETRES / 1000:g}"
    place.ZOffsetInSlideCoordinateSystem = "0"
    content = Dataset()
    content.DimensionIndexValues = [left + 1, top + 1]
    groups.FrameContentSequence = [content]
    groups.PlanePositionSlideSequence = [place]
    return groups
