"""How two instances of one SOP Instance UID differ, for whoever tries to store the second one."""

from typing import Any

import orjson

from app.dicom.dataset import Problem
from app.dicom.jsonmodel import unpack

MOST_NAMED = 20
"""Attributes that are named; more would only hide the first ones."""


def differences(stored: bytes, offered: bytes) -> tuple[Problem, ...]:
    """The attributes that differ at the top level of two data sets, given as packed DICOM JSON.

    Values that are not in the JSON (pixel data and the like) count as equal if both have them:
    where nothing is named, it is one of theirs, or the encoding.
    """
    before: dict[str, Any] = orjson.loads(unpack(stored))
    now: dict[str, Any] = orjson.loads(unpack(offered))
    found = []
    for tag in sorted(before.keys() | now.keys()):
        if tag not in before:
            found.append(Problem(tag, "is not in the stored instance"))
        elif tag not in now:
            found.append(Problem(tag, "is in the stored instance only"))
        elif before[tag] != now[tag]:
            found.append(Problem(tag, "differs from the stored instance"))
    return tuple(found[:MOST_NAMED])
