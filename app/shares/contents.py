"""What the page of an open share shows: all series, the images of one, or the frames of one image.

    ?                                                series of all studies of the share
    ?study=1.2.3&series=1.2.4                        instances of a series
    ?study=1.2.3&series=1.2.4&instance=1.2.5         frames of an instance
    …&from=200                                       further ones

It is found as any search is, with the eyes of the guest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson

from app.access.principal import Principal
from app.archive import Archive
from app.audit.event import Note
from app.dicom.attributes import Level
from app.dicom.query import Key, OneOf, Query
from app.dicom.uids import valid_uid
from app.index.restriction import Action
from app.index.search import Found, Page, Wanted, search
from app.search.service import patients_of

PAGE = 200
"""Pictures of one page."""

_STUDY_TEXTS = ("00100010", "00100020", "00080020", "00081030", "00080050")
_SERIES_TEXTS = ("00200011", "00080060", "0008103E")


@dataclass(frozen=True, slots=True)
class Tile:
    """A picture and what it leads to."""

    image: str
    """Path below the DICOMweb base of what stands for it."""
    leads_to: str
    """The query of another page, or a path below the DICOMweb base."""
    caption: str


@dataclass(frozen=True, slots=True)
class Group:
    """Pictures under a heading."""

    heading: str
    tiles: Sequence[Tile]


@dataclass(frozen=True, slots=True)
class Contents:
    """What one page shows."""

    groups: Sequence[Group]
    further: str | None = None
    """The query of the page with what comes next."""
    is_top: bool = True


async def contents_of(
    archive: Archive, guest: Principal, parameters: Mapping[str, str], note: Note
) -> Contents:
    """What these parameters of the page ask for; what they ask for in vain is not there.

    The audit is told whose data is shown.
    """
    uids = [parameters.get(name, "") for name in ("study", "series", "instance")]
    given = next((n for n, uid in enumerate(uids) if not valid_uid(uid)), 3)
    start = number_of(parameters.get("from", ""))
    if given < 2:
        page = await _found(archive, guest, Query(Level.SERIES, limit=PAGE, offset=start), note)
        return Contents(_by_study(page), further_of({}, start, there_are=bool(page.remaining)))
    study, series, instance = uids
    of_series = {"study": study, "series": series}
    query = Query(Level.INSTANCE, (), study, series, limit=PAGE, offset=start)
    if given == 2:
        page = await _found(archive, guest, query, note)
        tiles = [_instance(match) for match in page.found]
        return Contents(
            [Group("", tiles)],
            further_of(of_series, start, there_are=bool(page.remaining)),
            is_top=False,
        )
    return await _frames(archive, guest, of_series, instance, start, note)


async def _found(archive: Archive, guest: Principal, query: Query, note: Note) -> Page:
    levels = [Level.STUDY, Level.SERIES, Level.INSTANCE]
    wanted = Wanted(frozenset(levels[: levels.index(query.level) + 1]))
    visibility = guest.visibility_for(Action.SEARCH)
    async with archive.reading() as connection:
        page = await search(connection, visibility, query, wanted, archive.totals)
    note.lists(patients_of(page.found))
    return page


async def _frames(
    archive: Archive,
    guest: Principal,
    of_series: Mapping[str, str],
    instance: str,
    start: int,
    note: Note,
) -> Contents:
    key = Key("00080018", OneOf((instance,)))
    query = Query(Level.INSTANCE, (key,), of_series["study"], of_series["series"], limit=1)
    found = (await _found(archive, guest, query, note)).found
    if not found or found[0].instance is None:
        return Contents([], is_top=False)
    frames = found[0].instance.number_of_frames or 1
    return frames_of(_path(found[0]), frames, {**of_series, "instance": instance}, start)


def frames_of(path: str, count: int, asked: Mapping[str, str], start: int) -> Contents:
    """The frames of the instance with this path below a DICOMweb base, from the one after `start`.

    `asked`: the parameters that ask for them.
    """
    numbers = range(start + 1, min(start + PAGE, count) + 1)
    frames = [(f"{path}/frames/{number}", f"{number}") for number in numbers]
    tiles = [Tile(f"{frame}/thumbnail", f"{frame}/rendered", text) for frame, text in frames]
    further = further_of(asked, start, there_are=count > start + PAGE)
    return Contents([Group("", tiles)], further, is_top=False)


def _by_study(page: Page) -> list[Group]:
    groups: dict[str, tuple[str, list[Tile]]] = {}
    for match in page.found:
        if match.study is None or match.series is None or match.series_instance_uid is None:
            continue
        uid = match.study_instance_uid
        if uid not in groups:
            groups[uid] = _texts(match.study.attributes, _STUDY_TEXTS), []
        path = f"/studies/{uid}/series/{match.series_instance_uid}"
        count = match.series.number_of_instances
        texts = _texts(match.series.attributes, _SERIES_TEXTS)
        caption = f"{texts} ({count})"
        leads_to = query_of({"study": uid, "series": match.series_instance_uid})
        groups[uid][1].append(Tile(f"{path}/thumbnail", leads_to, caption))
    return [Group(heading, tiles) for heading, tiles in groups.values()]


def _instance(match: Found) -> Tile:
    path = _path(match)
    frames = (match.instance and match.instance.number_of_frames) or 1
    number = match.instance and match.instance.instance_number
    caption = str(number or "")
    if frames == 1:
        return Tile(f"{path}/thumbnail", f"{path}/rendered", caption)
    leads_to = query_of(
        {
            "study": match.study_instance_uid,
            "series": match.series_instance_uid or "",
            "instance": match.sop_instance_uid or "",
        }
    )
    return Tile(f"{path}/thumbnail", leads_to, f"{caption} ({frames})")


def _path(match: Found) -> str:
    return (
        f"/studies/{match.study_instance_uid}/series/{match.series_instance_uid}"
        f"/instances/{match.sop_instance_uid}"
    )


def _texts(attributes: bytes, tags: Sequence[str]) -> str:
    known: dict[str, Any] = orjson.loads(attributes)
    return "  ".join(text for tag in tags if (text := _text(known.get(tag, {}))))


def _text(element: Mapping[str, Any]) -> str:
    values = element.get("Value") or [""]
    first = values[0]
    return str(first.get("Alphabetic", "") if isinstance(first, dict) else first)


def further_of(asked: Mapping[str, str], start: int, *, there_are: bool) -> str | None:
    """The query of the page behind the one that begins after so many."""
    return query_of({**asked, "from": str(start + PAGE)}) if there_are else None


def query_of(parameters: Mapping[str, str]) -> str:
    """The parameters of another page, as an address has them."""
    return "?" + urlencode(parameters)


def number_of(text: str) -> int:
    """The number that a parameter tells; 0 for what is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0
