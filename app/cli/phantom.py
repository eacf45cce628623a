"""A CT series of nobody: a chest made of ellipses, the same bytes each time it is made.

Lengths are in millimetres from the middle of the body, x to the patient's left, y to the back, z to
the head; densities in Hounsfield units.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID, uuid5

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

SLICES = 20
SLICE_MM = 10.0
PIXELS = 256
PIXEL_MM = 1.5
AIR = -1000
INTERCEPT = -1024
NOISE = 12.0
UIDS_FROM = UUID("6d9d7a1e-8a0e-4b5e-9d0c-6f9f3f3a2a11")


@dataclass(frozen=True, slots=True)
class Ellipsoid:
    """A part of the body; a later one lies inside those before it."""

    density: int
    x: float
    y: float
    z: float
    half_x: float
    half_y: float
    half_z: float


TUBE = 1000.0
"""Half the length of what goes through every slice."""

CHEST = (
    Ellipsoid(-90, 0, 0, 0, 170, 115, TUBE),  # fat
    Ellipsoid(45, 0, 0, 0, 155, 102, TUBE),  # muscle
    Ellipsoid(420, 0, 0, 0, 141, 90, TUBE),  # the ribs' ring
    Ellipsoid(30, 0, 0, 0, 134, 84, TUBE),
    Ellipsoid(-860, -70, 0, 10, 55, 74, 150),  # right lung
    Ellipsoid(-860, 72, 2, 10, 52, 74, 150),  # left lung
    Ellipsoid(55, -60, -5, -130, 75, 78, 70),  # liver
    Ellipsoid(40, 18, -22, -20, 52, 46, 62),  # heart
    Ellipsoid(180, 24, -18, -22, 26, 24, 38),  # its left ventricle, with contrast
    Ellipsoid(210, 20, 38, 0, 12, 12, TUBE),  # aorta
    Ellipsoid(-980, 0, 10, 70, 9, 9, 60),  # trachea
    Ellipsoid(300, 0, 62, 0, 22, 19, TUBE),  # vertebra
    Ellipsoid(30, 0, 84, 0, 8, 7, TUBE),  # spinal canal
    Ellipsoid(520, 0, -88, 30, 20, 6, 90),  # sternum
    Ellipsoid(60, -88, 22, 24, 9, 9, 9),  # a nodule to be found
)


def ct_series() -> Iterator[Dataset]:
    """The slices, from the feet to the head, each ready to be saved."""
    for number in range(1, SLICES + 1):
        z = (number - (SLICES + 1) / 2) * SLICE_MM
        yield _instance(number, z, _pixels(number, z))


def _pixels(number: int, z: float) -> NDArray[np.uint16]:
    axis = (np.arange(PIXELS) - (PIXELS - 1) / 2) * PIXEL_MM
    x, y = axis[np.newaxis, :], axis[:, np.newaxis]
    density = np.full((PIXELS, PIXELS), AIR, dtype=np.float64)
    for part in CHEST:
        distance = (
            ((x - part.x) / part.half_x) ** 2
            + ((y - part.y) / part.half_y) ** 2
            + ((z - part.z) / part.half_z) ** 2
        )
        density[distance < 1] = part.density
    density += np.random.default_rng(number).normal(0, NOISE, density.shape)
    return (density - INTERCEPT).clip(0, 4095).astype("<u2")


def _instance(number: int, z: float, pixels: NDArray[np.uint16]) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = _uid("instance", str(number))
    dataset.StudyInstanceUID = _uid("study")
    dataset.SeriesInstanceUID = _uid("series")
    dataset.FrameOfReferenceUID = _uid("frame of reference")
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = "20260102"
    dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = "101500"
    dataset.AccessionNumber = "DEMO-0001"
    dataset.Modality = "CT"
    dataset.Manufacturer = "Hilum"
    dataset.ReferringPhysicianName = "Nobody^In^Particular"
    dataset.StudyDescription = "Chest phantom"
    dataset.SeriesDescription = "Axial 10 mm"
    dataset.PatientName = "Phantom^Paula"
    dataset.PatientID = "HILUM-DEMO-1"
    dataset.PatientBirthDate = "19900101"
    dataset.PatientSex = "O"
    dataset.BodyPartExamined = "CHEST"
    dataset.PatientPosition = "HFS"
    dataset.KVP = "120"
    dataset.StudyID = "1"
    dataset.SeriesNumber = 2
    dataset.InstanceNumber = number
    corner = -(PIXELS - 1) / 2 * PIXEL_MM
    dataset.ImagePositionPatient = [corner, corner, z]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.SliceThickness = SLICE_MM
    dataset.SliceLocation = z
    dataset.PixelSpacing = [PIXEL_MM, PIXEL_MM]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated = 16
    dataset.BitsStored = 12
    dataset.HighBit = 11
    dataset.PixelRepresentation = 0
    dataset.WindowCenter, dataset.WindowWidth = [40, -600], [400, 1500]
    dataset.WindowCenterWidthExplanation = ["MEDIASTINUM", "LUNG"]
    dataset.RescaleIntercept = INTERCEPT
    dataset.RescaleSlope = 1
    dataset.RescaleType = "HU"
    dataset.PixelData = pixels.tobytes()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def _uid(*of: str) -> str:
    return f"2.25.{uuid5(UIDS_FROM, ' '.join(of)).int}"
