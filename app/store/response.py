"""The answer to a store: what became of each instance, as PS3.18 10.5.3 and Annex I say it.

    00081190 RetrieveURL               of the study, if what is stored now belongs to one
    00081199 ReferencedSOPSequence     what is stored, also what was before, perhaps with a warning
    00081198 FailedSOPSequence         what is not, and why
    0008119A OtherFailuresSequence     the same, where not even the UIDs could be read

Each sequence is there only if it has items: clients take an empty one for a failure. An item that
is warned about or refused names each attribute at fault in Failed Attributes Sequence, whose items
hold an Error Comment, `(gggg,eeee) why`. In the same way an item names the attributes in which an
instance differs from the one that was stored before it under its UID. What it was before a coercion
is in Original Attributes Sequence (0400,0561).
"""

from collections.abc import Iterable, Sequence
from typing import Any

from app.dicom import reasons
from app.dicom.dataset import Problem
from app.store.outcomes import Outcome, Refusal, Stored

COMMENT_CHARACTERS = 64
"""Error Comment is an LO, and readers check its length."""
MOST_NAMED = 20_000
"""Attributes that an answer names; of items behind these it tells the reason alone. It is in memory
as a whole, and each takes half a kilobyte."""


def status_of(outcomes: Sequence[Outcome]) -> int:
    """200 if all is stored without a warning, 409 if nothing is, 202 between (PS3.18 10.5.3.1)."""
    stored = [outcome for outcome in outcomes if isinstance(outcome, Stored)]
    if not stored:
        return 409
    if len(stored) < len(outcomes) or any(_warning_reason(outcome) for outcome in stored):
        return 202
    return 200


def report(outcomes: Iterable[Outcome], base_url: str) -> dict[str, Any]:
    """The Store Instances Response Module in the DICOM JSON model, in the order of the parts."""
    stored: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    other: list[dict[str, Any]] = []
    studies: set[str] = set()
    named = 0
    for outcome in outcomes:
        match outcome:
            case Stored():
                studies.add(outcome.study_instance_uid)
                item, place = _stored_item(outcome, base_url), stored
            case Refusal(sop_instance_uid=None) | Refusal(sop_class_uid=None):
                item, place = _failed_item(outcome), other
            case Refusal():
                item, place = _failed_item(outcome), failed
        named += len(item.get("00741048", {}).get("Value", ()))
        if named > MOST_NAMED:
            item.pop("00741048", None)
        place.append(item)
    module: dict[str, Any] = {}
    if len(studies) == 1:
        module["00081190"] = _element("UR", f"{base_url}/studies/{studies.pop()}")
    for tag, items in (("00081198", failed), ("00081199", stored), ("0008119A", other)):
        if items:
            module[tag] = {"vr": "SQ", "Value": items}
    return module


def _stored_item(stored: Stored, base_url: str) -> dict[str, Any]:
    url = (
        f"{base_url}/studies/{stored.study_instance_uid}/series/{stored.series_instance_uid}"
        f"/instances/{stored.sop_instance_uid}"
    )
    item = {
        "00081150": _element("UI", stored.sop_class_uid),
        "00081155": _element("UI", stored.sop_instance_uid),
        "00081190": _element("UR", url),
    }
    if reason := _warning_reason(stored):
        item["00081196"] = _element("US", reason)
    if stored.kept:
        item["00000902"] = _comment("other content is stored under this UID, and stays")
    elif stored.replaced is not None:
        item["00000902"] = _comment(f"it takes the place of version {stored.replaced}")
    if named := stored.warnings + stored.differences:
        item["00741048"] = _attributes(named)
    if stored.original_attributes is not None:
        item["04000561"] = {"vr": "SQ", "Value": [stored.original_attributes]}
    return item


def _warning_reason(stored: Stored) -> int | None:
    if stored.kept:
        return reasons.WARNING_DISCARDED
    if stored.original_attributes is not None:
        return reasons.WARNING_COERCED
    return reasons.WARNING_DOES_NOT_MATCH_SOP_CLASS if stored.warnings else None


def _failed_item(refusal: Refusal) -> dict[str, Any]:
    item: dict[str, Any] = {}
    if refusal.comment:
        item["00000902"] = _comment(refusal.comment)
    if refusal.sop_class_uid is not None:
        item["00081150"] = _element("UI", refusal.sop_class_uid)
    if refusal.sop_instance_uid is not None:
        item["00081155"] = _element("UI", refusal.sop_instance_uid)
    item["00081197"] = _element("US", refusal.reason)
    if refusal.attributes:
        item["00741048"] = _attributes(refusal.attributes)
    return item


def _attributes(problems: Iterable[Problem]) -> dict[str, Any]:
    named = [(problem.tag[:4], problem.tag[4:], problem.why) for problem in problems]
    items = [{"00000902": _comment(f"({group},{element}) {why}")} for group, element, why in named]
    return {"vr": "SQ", "Value": items}


def _comment(text: str) -> dict[str, Any]:
    text = text.replace("\\", "/")  # a backslash would make two values of it
    cut = text if len(text) <= COMMENT_CHARACTERS else text[: COMMENT_CHARACTERS - 1] + "…"
    return _element("LO", cut)


def _element(vr: str, value: str | int) -> dict[str, Any]:
    return {"vr": vr, "Value": [value]}
