"""The scopes of SMART on FHIR (v2, and v1 as it was): what a token lets its holder do.

    patient/ImagingStudy.rs     read and search, of the patient in context
    user/ImagingStudy.cruds     everything that the user's grants allow
    system/*.rs                 the same without a user
    patient/*.read              as v1 spelt it
    share                       of our own: to make links, of what the user's grants allow
    audit                       of our own: to look into the audit, if the user's grants allow it

They only narrow: what may be done, and of whom, is a matter of grants.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from app.index.restriction import Action

_SCOPE = re.compile(r"(patient|user|system)/(?:ImagingStudy|\*)\.(c?r?u?d?s?|read|write|\*)(\?.*)?")
_OWN = {"share": Action.SHARE, "audit": Action.AUDIT}
_LETTERS = {
    "c": {Action.STORE},
    "r": {Action.READ, Action.RENDER},
    "u": {Action.STORE},
    "d": {Action.DELETE},
    "s": {Action.SEARCH},
}
_FIRST_VERSION = {"read": "rs", "write": "cud", "*": "cruds"}


@dataclass(frozen=True, slots=True)
class Allowed:
    """What scopes allow."""

    everywhere: frozenset[Action]
    """Of all that grants let the caller see."""
    of_patient: frozenset[Action]
    """Of that, only what is of the patient in context."""
    contexts: frozenset[str]
    """`patient`, `user`, `system`, as far as something is allowed there; `patient` only by itself,
    since what is granted by it is meant for one patient, and not for what the others allow."""


def allowed_by(scopes: Iterable[str]) -> Allowed:
    """What these scopes allow; what is no scope of imaging allows nothing.

    A scope with a condition (`?category=…`) allows nothing either: it cannot be kept.
    """
    everywhere: set[Action] = set()
    of_patient: set[Action] = set()
    contexts: set[str] = set()
    for scope in scopes:
        if scope in _OWN:
            everywhere.add(_OWN[scope])
            continue
        match = _SCOPE.fullmatch(scope)
        if match is None or match[3]:
            continue
        letters = _FIRST_VERSION.get(match[2], match[2])
        actions = {action for letter in letters for action in _LETTERS[letter]}
        if actions:
            contexts.add(match[1])
        (of_patient if match[1] == "patient" else everywhere).update(actions)
    if contexts != {"patient"}:
        contexts.discard("patient")
    return Allowed(frozenset(everywhere), frozenset(of_patient - everywhere), frozenset(contexts))
