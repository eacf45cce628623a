"""Rows of instances that need no DICOM."""

import hashlib
import secrets
import zlib
from itertools import count
from typing import Any

from app.index.instances import NewInstance

PARTITION = 1
"""The default partition, which the first migration makes."""

UPLOAD = 1
"""An upload that is always there: the fixture `database` makes it."""

_numbers = count(1)


def new_uid() -> str:
    """A UID that no other test has."""
    return f"2.25.{secrets.randbits(96)}"


def new_instance(*, content: bytes | None = None, **fields: Any) -> NewInstance:
    """An instance of a study and series of its own, unless `fields` say otherwise.

    `content` stands for its bytes: the same content has the same hash, yet each has its own blob.
    """
    number = next(_numbers)
    content = b"content %d" % number if content is None else content
    modality = fields.pop("modality", "CT")
    patient_id = fields.pop("patient_id", "PID-1")
    values: dict[str, Any] = {
        "study": {"patient_id": patient_id, "attributes": b'{"study":%d}' % number},
        "series": {"modality": modality, "attributes": b'{"series":%d}' % number},
        "study_instance_uid": new_uid(),
        "series_instance_uid": new_uid(),
        "sop_instance_uid": new_uid(),
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2",
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "blob_key": f"p1/{number:08x}",
        "upload_id": UPLOAD,
        "length": len(content),
        "sha256": hashlib.sha256(content).digest(),
        "crc32": zlib.crc32(content),
        "metadata_json": b"packed " + content,
        "instance_number": number,
    }
    return NewInstance(**values | fields)


def new_series(size: int, **fields: Any) -> list[NewInstance]:
    """Instances of one series, in the order of their numbers."""
    place = {"study_instance_uid": new_uid(), "series_instance_uid": new_uid()} | fields
    return [new_instance(**place) for _ in range(size)]
