"""Failure and warning reasons of Store: PS3.18 Annex I.2.2 and PS3.7 Annex C.

They are values of (0008,1197) Failure Reason and (0008,1196) Warning Reason, 16 bits unsigned.
"""

# Failures: the instance is not stored.

NOT_AUTHORISED = 0x0124
"""Refused: not authorised."""

PROCESSING_FAILURE = 0x0110
"""Something went wrong here, not with the instance."""

DUPLICATE_INSTANCE = 0x0111
"""Another instance with this SOP Instance UID is stored already."""

INVALID_VALUE = 0x0106
"""An attribute that is needed has a value that it must not have."""

MISSING_ATTRIBUTE = 0x0120
"""An attribute that is needed is not there."""

MISSING_VALUE = 0x0121
"""An attribute that is needed has no value."""

OUT_OF_RESOURCES = 0xA700
"""A limit of the archive is exceeded, or it has no space left."""

DOES_NOT_MATCH_SOP_CLASS = 0xA900
"""The data set contradicts itself or its File Meta Information."""

WRONG_STUDY = 0xA901
"""The Study Instance UID is not the one that was stored to."""

BULK_DATA = 0xA922
"""Metadata refer to bulk data that are not in the message, or the message has more of them."""

CANNOT_UNDERSTAND = 0xC000
"""The bytes are not a DICOM file, or are cut short."""

UNSUPPORTED_TRANSFER_SYNTAX = 0xC122
"""The transfer syntax is none that this archive can keep."""

# Warnings: the instance is stored.

WARNING_COERCED = 0xB000
"""Values have been changed."""

WARNING_DISCARDED = 0xB006
"""Elements have been left out, or a whole instance, since another one was to stay."""

WARNING_DOES_NOT_MATCH_SOP_CLASS = 0xB007
"""Values are against the standard; they are kept as they came."""
