"""What every request of this room has in common: who asks, for what, and in which forms.

Also what the OpenAPI document says of all its answers.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import Depends, Request

from app.archive import Archive
from app.dicom.mediatypes import MediaRange
from app.dicom.uids import valid_uid
from app.errors import InvalidParameter
from app.gate import Gate
from app.index.restriction import Action
from app.index.visibility import Visibility
from app.retrieve.service import Target
from app.web.accepting import accepted_by
from app.web.dependencies import Reader, base_url, get_archive
from app.web.limits import Gates

Answers = dict[int | str, dict[str, Any]]

_FILE = {"schema": {"type": "string", "format": "binary"}}
_REFUSALS: Answers = {
    304: {"description": "The caller has this representation already"},
    400: {"description": "A UID or a list of frames is malformed"},
    404: {"description": "There is no such object"},
    406: {"description": "No representation that is accepted can be made"},
    412: {"description": "What there is has not the validator of If-Match"},
}
RANGES: Answers = {
    206: {"description": "The range of a single part that was asked for"},
    416: {"description": "The range lies outside of what there is"},
}


def answers(description: str, *media_types: str) -> Answers:
    """What OpenAPI says of a resource with these representations."""
    content = dict.fromkeys(media_types, _FILE)
    return {200: {"description": description, "content": content}} | _REFUSALS


RENDERED = ("/rendered", "/thumbnail")
"""How the paths of resources end that show images instead of handing them out."""

_NUMBERS = re.compile(r"[0-9]{1,10}(?:,[0-9]{1,10})*")


@dataclass(frozen=True, slots=True)
class Ask:
    """What every request here has in common."""

    request: Request
    archive: Archive
    visibility: Visibility
    base: str
    accepted: Sequence[MediaRange]


def gate_of(ask: Ask, target: Target) -> Gate | None:
    """Where a message with all of a study or a series waits for its turn."""
    gates: Gates = ask.request.app.state.gates
    return None if target.is_instance else gates.reads


async def asked(request: Request, caller: Reader) -> Ask:
    """Who asks, of which archive, and what they accept."""
    accepted = _with_dicomdir(request, accepted_by(request))
    archive, base = await get_archive(request), await base_url(request)
    rendered = request.scope["path"].endswith(RENDERED)
    visibility = caller.visibility_for(Action.RENDER if rendered else Action.READ)
    return Ask(request, archive, visibility, base, accepted)


def _with_dicomdir(request: Request, accepted: Sequence[MediaRange]) -> Sequence[MediaRange]:
    """The same, with the parameter `dicomdir` of the address, where a ZIP archive is accepted."""
    value = request.query_params.get("dicomdir")
    if value is None:
        return accepted
    if value not in {"true", "false"}:
        raise InvalidParameter("dicomdir", value, "is neither true nor false")
    return [replace(one, dicomdir=value == "true") for one in accepted]


Asked = Annotated[Ask, Depends(asked)]


def given_once(request: Request, names: Collection[str] | None = None) -> dict[str, str]:
    """The query parameters, or those of these names. Raises `InvalidParameter` if one is twice."""
    given: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if names is not None and name not in names:
            continue
        if name in given:
            raise InvalidParameter(name, value, "is given twice")
        given[name] = value
    return given


def frame_numbers(text: str, most: int) -> list[int]:
    """The numbers of a frame list, each once, in the order in which they come first.

    Raises `InvalidParameter` if it is no list of at most `most` numbers from 1.
    """
    if not _NUMBERS.fullmatch(text):
        raise InvalidParameter("frames", text, "is no list of frame numbers such as 1,2,3")
    numbers = [int(number) for number in text.split(",")]
    if 0 in numbers:
        raise InvalidParameter("frames", text, "frames are numbered from 1")
    if len(numbers) > most:
        raise InvalidParameter("frames", text, f"at most {most} frames can be asked for at once")
    return list(dict.fromkeys(numbers))


def target_of(study: str, series: str | None = None, instance: str | None = None) -> Target:
    """What the path names. Raises `InvalidParameter` if one of the UIDs is none."""
    uids = {"study": study, "series": series, "instance": instance}
    for name, uid in uids.items():
        if uid is not None and not valid_uid(uid):
            raise InvalidParameter(name, uid, "is no UID")
    return Target(study, series, instance)
