"""Rows as the index gives them, for tests that have no index."""

from datetime import UTC, datetime
from typing import Any

from app.index.instances import StoredInstance

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
JPEG = "1.2.840.10008.1.2.4.50"


def stored_instance(**fields: Any) -> StoredInstance:
    """An Explicit VR Little Endian CT of 4 frames of 8 bytes; fields replace its own."""
    values: dict[str, Any] = {
        "id": 1,
        "study_instance_uid": "1.2",
        "series_instance_uid": "1.2.3",
        "sop_instance_uid": "1.2.3.4",
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2",
        "instance_number": 1,
        "transfer_syntax_uid": EXPLICIT,
        "version": 1,
        "created_at": datetime(2024, 2, 29, tzinfo=UTC),
        "blob_key": "p1/ab/cd/abcd",
        "blob_offset": 0,
        "length": 1000,
        "sha256": b"\1" * 32,
        "crc32": 1,
        "rows": 2,
        "columns": 2,
        "bits_allocated": 16,
        "number_of_frames": 4,
        "pixel_offset": 900,
        "pixel_length": 32,
        "frame_bits": 64,
    }
    return StoredInstance(**(values | fields))
