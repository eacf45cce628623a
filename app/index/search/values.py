"""What a search is told to read, and what it gives.

What is found is told in tuples: many of them are made for each page.
"""

from dataclasses import dataclass
from typing import NamedTuple

from app.dicom.attributes import Level


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is read of each match besides its UIDs."""

    levels: frozenset[Level]
    """The levels, at or above that of the search, of which everything is read but the metadata."""
    metadata: bool = False
    """Whether the whole DICOM JSON of an instance is read, which is much."""
    zone: bool = False
    """Whether it is read what the study tells of its time zone, and nothing else of it."""


class FoundStudy(NamedTuple):
    """What is known of a study; `attributes` is the DICOM JSON that its first instance gave."""

    attributes: bytes
    modalities: tuple[str, ...]
    sop_classes: tuple[str, ...]
    number_of_series: int
    number_of_instances: int
    patient_id: str | None
    """As it is matched, like its issuer."""
    issuer_of_patient_id: str | None


class FoundSeries(NamedTuple):
    """What is known of a series; `attributes` is the DICOM JSON that its first instance gave."""

    attributes: bytes
    number_of_instances: int


class FoundInstance(NamedTuple):
    """What is known of an instance; `metadata_json` is its packed DICOM JSON, if wanted.

    It is None as well if it is so long that a page of such could not be held in memory.
    """

    sop_class_uid: str
    transfer_syntax_uid: str
    instance_number: int | None
    number_of_frames: int | None
    rows: int | None
    columns: int | None
    bits_allocated: int | None
    metadata_json: bytes | None = None


class Found(NamedTuple):
    """One match: its UIDs down to the level of the search, and the parts that are wanted."""

    study_instance_uid: str
    series_instance_uid: str | None = None
    sop_instance_uid: str | None = None
    study: FoundStudy | None = None
    series: FoundSeries | None = None
    instance: FoundInstance | None = None
    telling_zone: bytes | None = None
    """The attributes of the study, if a time zone is among them and alone is wanted of them."""


@dataclass(frozen=True, slots=True)
class Page:
    """The matches from the beginning or from a place on, up to the limit."""

    found: list[Found]
    remaining: int = 0
    """How many more there are after them."""
    counted: bool = True
    """Whether that is all; else there are at least so many."""
    passed_over: int = 0
    """Instances that were not looked at, since their metadata is too long."""
    end: tuple[str | int, ...] | None = None
    """The place of the last one in the order of the search, if there are more."""
