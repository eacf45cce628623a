"""What a check can find, and what it says of it. The names are for machines too, and stay."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from app.index.checking import CheckedInstance


class Fault(StrEnum):
    """Something that must not be."""

    BLOB_MISSING = "blob-missing"
    """An instance has no blob."""
    BLOB_LENGTH = "blob-length"
    """A blob is shorter or longer than what was stored."""
    BLOB_CONTENT = "blob-content"
    """The bytes have not the SHA-256 of what was stored."""
    BLOB_SHARED = "blob-shared"
    """Two instances have the same bytes of one blob."""
    BLOB_UNKNOWN = "blob-unknown"
    """No instance has the blob, and nobody is storing one with it."""
    UPLOAD_ABANDONED = "upload-abandoned"
    """The lease of an upload is long over, and no sweeper has come."""
    ROW = "row"
    """The columns of an instance contradict each other."""
    COLUMNS = "columns"
    """Columns that are matched are not what the attributes beside them say."""
    COUNTS = "counts"
    """A study or a series does not say what is there."""
    KEPT_METADATA = "kept-metadata"
    """What is kept to be sent of a series' metadata is not what its instances say."""
    CHANGE_MISSING = "change-missing"
    """The log of changes does not tell of an instance."""
    CHANGE_TWICE = "change-twice"
    """The log of changes tells of a version more than once."""
    CHANGE_OF_NOTHING = "change-of-nothing"
    """The log of changes tells of a version that is not there."""
    AUDIT = "audit"
    """The chain of the audit is broken."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong, and where."""

    fault: Fault
    partition_id: int
    what: str
    study_instance_uid: str | None = None
    series_instance_uid: str | None = None
    sop_instance_uid: str | None = None
    blob_key: str | None = None
    mended: bool = False

    @classmethod
    def of(cls, fault: Fault, instance: CheckedInstance, what: str) -> "Finding":
        """Something that is wrong with an instance."""
        return cls(
            fault,
            instance.partition_id,
            what,
            instance.study_instance_uid,
            instance.series_instance_uid,
            instance.sop_instance_uid,
            instance.blob_key,
        )


Mend = Callable[[], Awaitable[object]]
"""Sets right what was found; does nothing if it is right by then."""

Found = tuple[Finding, Mend | None]
"""With how to mend it, if that follows from what is there."""
