"""Instances: how they get into the index, and how what is stored of them is found again.

values     what goes in, what is answered, what comes out
adding     `add`, the way in
permitted  the same for who may store a part only
moving     what that must not do to studies that are hidden in part
replacing  `replace`, the way in for those that take the place of others
rehousing  `rehouse`: the bytes of an instance that had lost them are there again
locating   `locate` and the other readings, all of what a caller may see
framing    where the frames of an instance lie
witness    what is told of all that, in the same transaction
"""

from app.dicom.dataset import BulkValue
from app.index.instances.adding import add
from app.index.instances.framing import frame_entries, frame_table, frame_tables, locate_frames
from app.index.instances.locating import (
    bulk_value,
    bulk_values,
    locate,
    locate_metadata,
    metadata_of,
)
from app.index.instances.permitted import add_permitted
from app.index.instances.rehousing import rehouse
from app.index.instances.replacing import replace
from app.index.instances.values import (
    Added,
    Differs,
    FrameTable,
    Hidden,
    Identical,
    Lapsed,
    Misplaced,
    NewInstance,
    Outcome,
    Replaced,
    StoredBytes,
    StoredInstance,
    StoredMetadata,
)
from app.index.instances.versions import locate_versions
from app.index.instances.witness import Witness, testify

__all__ = [
    "Added",
    "BulkValue",
    "Differs",
    "FrameTable",
    "Hidden",
    "Identical",
    "Lapsed",
    "Misplaced",
    "NewInstance",
    "Outcome",
    "Replaced",
    "StoredBytes",
    "StoredInstance",
    "StoredMetadata",
    "Witness",
    "add",
    "add_permitted",
    "bulk_value",
    "bulk_values",
    "frame_entries",
    "frame_table",
    "frame_tables",
    "locate",
    "locate_frames",
    "locate_metadata",
    "locate_versions",
    "metadata_of",
    "rehouse",
    "replace",
    "testify",
]
