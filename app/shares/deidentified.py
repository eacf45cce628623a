"""What the page of a de-identified share shows, asked for as `app.shares.contents` says."""

from collections.abc import Mapping

from app.access.principal import Principal
from app.archive import Archive
from app.audit.event import Note
from app.deidentified.finding import Shown, View
from app.dicom.uids import valid_uid
from app.errors import NotFound
from app.index.restriction import Action
from app.shares.contents import (
    PAGE,
    Contents,
    Group,
    Tile,
    frames_of,
    further_of,
    number_of,
    query_of,
)


async def deidentified_contents(
    archive: Archive, guest: Principal, parameters: Mapping[str, str], note: Note
) -> Contents:
    """What these parameters of the page ask for; what they ask for in vain is not there."""
    view = View(archive, guest, Action.SEARCH, note)
    given = [parameters.get(name, "") for name in ("study", "series", "instance")]
    count = next((n for n, uid in enumerate(given) if not valid_uid(uid)), len(given))
    start = number_of(parameters.get("from", ""))
    try:
        if count < 2:
            return await _series(view)
        if count == 2:
            return await _instances(view, given[:2], start)
        return _frames(await view.one(given), given, start)
    except NotFound:
        return Contents([], is_top=False)


async def _series(view: View) -> Contents:
    found: dict[tuple[str, str], tuple[Shown, int]] = {}
    async for shown in view.shown():
        _, __, study, ___, series, *____ = shown.path.split("/")
        first, count = found.get((study, series), (shown, 0))
        found[study, series] = first, count + 1
    groups: dict[str, list[Tile]] = {}
    for (study, series), (first, count) in found.items():
        modality = first.attributes.get("00080060", {}).get("Value", [""])[0]
        tile = Tile(
            f"/studies/{study}/series/{series}/thumbnail",
            query_of({"study": study, "series": series}),
            f"{modality} ({count})",
        )
        groups.setdefault(study, []).append(tile)
    return Contents([Group(f"{n}", tiles) for n, tiles in enumerate(groups.values(), 1)])


async def _instances(view: View, uids: list[str], start: int) -> Contents:
    tiles, place, of_series = [], 0, dict(zip(("study", "series"), uids, strict=True))
    async for shown in view.shown(uids):
        if start <= place < start + PAGE:
            count = shown.instance.number_of_frames or 1
            uid = shown.path.rpartition("/")[2]
            leads_to = f"{shown.path}/rendered"
            if count > 1:
                leads_to = query_of({**of_series, "instance": uid})
            caption = f"{place + 1}" + (f" ({count})" if count > 1 else "")
            tiles.append(Tile(f"{shown.path}/thumbnail", leads_to, caption))
        place += 1
    further = further_of(of_series, start, there_are=place > start + PAGE)
    return Contents([Group("", tiles)], further, is_top=False)


def _frames(shown: Shown, uids: list[str], start: int) -> Contents:
    asked = dict(zip(("study", "series", "instance"), uids, strict=True))
    return frames_of(shown.path, shown.instance.number_of_frames or 1, asked, start)
