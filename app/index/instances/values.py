"""What goes into the index with an instance, what it answers, and what comes out again."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.dicom.dataset import BulkValue
from app.fingerprint import Fingerprint
from app.span import Span

ENTRY = struct.Struct(">QQ")
"""Of a frame table: offset and length of a frame's items."""


@dataclass(frozen=True, slots=True)
class StoredBytes:
    """Where the bytes of an instance lie, and what they have to be."""

    blob_key: str
    blob_offset: int
    length: int
    sha256: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class NewInstance:
    """An instance whose blob is durable already and which now gets its row.

    Fields that are not explained have the names of the columns of `app.index.tables.Instance`.
    """

    study: Mapping[str, Any]
    """Columns of its study by name, `attributes` among them; used if it is the study's first."""
    series: Mapping[str, Any]
    """Columns of its series by name, `attributes` among them; used if it is the series' first."""
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    blob_key: str
    upload_id: int
    """The row of `app.index.tables.Upload` that its key is from."""
    length: int
    sha256: bytes
    crc32: int | None
    metadata_json: bytes
    received_sha256: bytes | None = None
    blob_offset: int = 0
    instance_number: int | None = None
    rows: int | None = None
    columns: int | None = None
    bits_allocated: int | None = None
    number_of_frames: int | None = None
    bulk: tuple[BulkValue, ...] = ()
    """Values that are not in the JSON."""
    pixel_offset: int | None = None
    pixel_length: int | None = None
    frame_bits: int | None = None
    frame_table: bytes | None = None

    @property
    def stored(self) -> StoredBytes:
        """Where its bytes lie."""
        return StoredBytes(self.blob_key, self.blob_offset, self.length, self.sha256)


@dataclass(frozen=True, slots=True)
class Added:
    """The instance is in the index now, and its blob is the one that counts."""


@dataclass(frozen=True, slots=True)
class Identical:
    """The very same bytes are stored already; nothing was changed."""

    stored: StoredBytes
    """Of the stored instance: not those that were offered, which nothing refers to."""
    as_it_came: bool = False
    """Whether it was stored unchanged, and something else would be made of the file now."""


@dataclass(frozen=True, slots=True)
class Differs:
    """Other bytes are stored under the SOP Instance UID, and stay; nothing was changed."""

    stored: StoredBytes
    metadata_json: bytes
    """Of the stored instance, to tell what differs."""
    received_sha256: bytes | None = None
    """Of the file that the stored instance was made of, if it was changed."""


@dataclass(frozen=True, slots=True)
class Misplaced:
    """The SOP Instance UID is stored in another study or series; nothing was changed."""

    study_instance_uid: str
    series_instance_uid: str


@dataclass(frozen=True, slots=True)
class Replaced:
    """The instance has taken the place of another, which stays as an old version."""

    version: int
    """Of the instance; the version that it replaced is one less."""
    metadata_json: bytes
    """Of the one that it replaced, to tell what differs."""


@dataclass(frozen=True, slots=True)
class Lapsed:
    """A sweeper has taken the upload, and with it perhaps the blob; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Hidden:
    """The caller may not store it, or not there, or not in the place of what is; nothing was
    changed."""


Outcome = Added | Identical | Differs | Misplaced | Replaced | Lapsed | Hidden


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """Where the bytes of a stored instance lie, and what is needed to send them."""

    id: int
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    instance_number: int | None
    transfer_syntax_uid: str
    version: int
    created_at: datetime
    blob_key: str
    blob_offset: int
    """Where the instance begins in the blob; every other offset counts from there."""
    length: int
    sha256: bytes
    crc32: int | None
    rows: int | None
    columns: int | None
    bits_allocated: int | None
    number_of_frames: int | None
    """How many frames can be retrieved; None without pixel data."""
    pixel_offset: int | None
    pixel_length: int | None
    frame_bits: int | None
    """Bits of one native frame; None when encapsulated."""

    @property
    def fingerprint(self) -> Fingerprint:
        """What its bytes have to be."""
        return Fingerprint(self.sha256, self.crc32)

    @property
    def encapsulated(self) -> bool:
        """Whether its frames are found by `frame_entries` and not by reckoning."""
        return self.pixel_offset is not None and self.frame_bits is None


@dataclass(frozen=True, slots=True)
class FrameTable:
    """Where the items of every frame lie, counted from the first byte of the instance.

    As it is stored, 16 bytes a frame, since there may be millions of them.
    """

    packed: bytes

    def __len__(self) -> int:
        return len(self.packed) // ENTRY.size

    def __getitem__(self, index: int) -> Span:
        """The items of frame `index`, counted from 0."""
        return Span(*ENTRY.unpack_from(self.packed, index * ENTRY.size))


@dataclass(frozen=True, slots=True)
class StoredMetadata:
    """The DICOM JSON of a stored instance: one object with relative BulkDataURIs, compressed."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    version: int
    created_at: datetime
    sha256: bytes
    metadata_json: bytes
