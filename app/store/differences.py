"""How two instances of one SOP Instance UID differ, for whoever tries to store the second one."""

import orjson

from app.dicom.dataset import Problem
from app.dicom.jsonmodel import unpack_short
from app.dicom.longjson import LONG
from app.index.instances import Differs
from app.store.intake import Intake

MOST_NAMED = 20
"""Attributes that are named; more would only hide the first ones."""


def differences(stored: bytes, offered: bytes) -> tuple[Problem, ...]:
    """The attributes that differ at the top level of two data sets, given as packed DICOM JSON.

    Values that are not in the JSON (pixel data and the like) count as equal if both have them:
    where nothing is named, it is one of theirs, or the encoding. Nothing is named of long JSON
    either, since to compare it would hold up all other requests.
    """
    there, here = unpack_short(stored, LONG), unpack_short(offered, LONG)
    if there is None or here is None:
        return ()
    before, now = orjson.loads(there), orjson.loads(here)
    found = []
    for tag in sorted(before.keys() | now.keys()):
        if tag not in before:
            found.append(Problem(tag, "is not in the stored instance"))
        elif tag not in now:
            found.append(Problem(tag, "is in the stored instance only"))
        elif before[tag] != now[tag]:
            found.append(Problem(tag, "differs from the stored instance"))
    return tuple(found[:MOST_NAMED])


def came_before(intake: Intake, answer: Differs) -> bool:
    """Whether the stored instance was made of a file of the same bytes.

    What a coercion has made of it differs each time, at least in the moment of the change.
    """
    came_as = intake.instance.received_sha256 or intake.instance.sha256
    return came_as in (answer.stored.sha256, answer.received_sha256)
