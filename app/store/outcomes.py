"""What became of one instance of a store: `Stored`, or a `Refusal`. Values, not exceptions."""

from dataclasses import dataclass

from app.dicom.dataset import Attributes, Problem


@dataclass(frozen=True, slots=True)
class Stored:
    """An instance that is in the archive, by this store or by an earlier one of the same bytes."""

    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    warnings: tuple[Problem, ...] = ()
    """What is wrong with it, by attribute; it is stored all the same."""
    replaced: int | None = None
    """The version whose place it has taken."""
    kept: bool = False
    """Whether another instance was stored under its UID and stays, and this one was passed over."""
    original_attributes: Attributes | None = None
    """What it had been before it was changed here, as an item of Original Attributes Sequence."""
    differences: tuple[Problem, ...] = ()
    """Attributes in which the two of them differ, if there are two."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An instance that is not stored, and why."""

    reason: int
    """Failure Reason (PS3.18 Annex I.2.2, PS3.7 Annex C)."""
    comment: str
    sop_class_uid: str | None = None
    sop_instance_uid: str | None = None
    """Both UIDs are None where they could not be read."""
    attributes: tuple[Problem, ...] = ()
    """The attributes at fault."""


Outcome = Stored | Refusal
