"""What a guest sees who is shown de-identified data alone: which instances, by which UIDs.

Rules:
- The paths have only UIDs that stand for others (`app.dicom.deidentification`). What they stand for
  is found among the studies of the share, and remembered.
- All is read with the eyes of the guest, through the one predicate, as any read is.
- What cannot be cleaned is not there.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any

from app.access.principal import Principal
from app.archive import Archive
from app.audit.event import Note, Objects
from app.dicom.deidentification import Deidentifier, can_be_cleaned
from app.dicom.longjson import loads
from app.errors import Forbidden, NotFound
from app.index.instances import StoredInstance, locate, metadata_of
from app.index.restriction import Action
from app.index.visibility import Visibility

PAGE = 32
"""Instances whose attributes are in memory at once."""
MOST_REMEMBERED = 200_000

_REMEMBERED: dict[tuple[bytes, str], str] = {}
"""What UIDs stand for, by the key of their share. They never come to stand for others."""


@dataclass(frozen=True, slots=True)
class Shown:
    """An instance that can be shown, and what may be told of it."""

    instance: StoredInstance
    attributes: dict[str, Any]
    """Without pixels, cleaned."""
    pixels: dict[str, Any]
    """The element of Pixel Data."""

    @property
    def path(self) -> str:
        """Below the base of what is de-identified."""
        study, series, instance = (
            self.attributes[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018")
        )
        return f"/studies/{study}/series/{series}/instances/{instance}"


class View:
    """What one guest sees."""

    def __init__(self, archive: Archive, guest: Principal, action: Action, note: Note) -> None:
        """Raises `Forbidden` for who does not come to see what is de-identified."""
        if guest.deidentified is None:
            raise Forbidden("Here is only what has been shared without who it is of.")
        self.archive = archive
        self.visibility: Visibility = guest.visibility_for(action)
        self.key = guest.deidentified.key
        self.cleaner = Deidentifier(self.key)
        self._studies = guest.deidentified.studies
        self._note = note

    async def uids(self, asked: Sequence[str]) -> list[str]:
        """What the UIDs of a study, a series in it, an instance in that stand for.

        Raises `NotFound`.
        """
        studies = {self.cleaner.uid(study): study for study in self._studies}
        if not asked or asked[0] not in studies:
            raise NotFound
        found = [studies[asked[0]]]
        if any((self.key, uid) not in _REMEMBERED for uid in asked[1:]):
            await self._remember(found[0])
        for uid in asked[1:]:
            known = _REMEMBERED.get((self.key, uid))
            if known is None:
                raise NotFound
            found.append(known)
        note = self._note
        note.study_instance_uid = found[0]
        note.series_instance_uid = found[1] if len(found) > 1 else None
        note.sop_instance_uid = found[2] if len(found) > 2 else None
        return found

    async def shown(
        self, asked: Sequence[str] = (), *, whole: bool = False
    ) -> AsyncGenerator[Shown]:
        """The instances of what the UIDs name, in the order of the study's images.

        `whole`: raises `NotFound` if one has been deleted or hidden meanwhile, or all of them,
        instead of going on without.
        """
        targets = [await self.uids(asked)] if asked else [[study] for study in self._studies]
        if not asked:
            self._note.is_about([Objects(study) for study in self._studies])
        for uids in targets:
            found = await self._located(uids)
            if whole and not found:
                raise NotFound
            for start in range(0, len(found), PAGE):
                page = found[start : start + PAGE]
                async with self.archive.reading() as connection:
                    packed = await metadata_of(
                        connection, self.visibility, [one.id for one in page]
                    )
                if whole and len(packed) < len(page):
                    raise NotFound
                there = [(one, packed[one.id]) for one in page if one.id in packed]
                for one in await asyncio.to_thread(self._cleaned, there):
                    yield one

    async def frames_of(self, asked: Sequence[str]) -> list[StoredInstance]:
        """What of a target has frames, before it is known whether it can be cleaned.

        Raises `NotFound`.
        """
        return [one for one in await self._located(await self.uids(asked)) if one.number_of_frames]

    async def _located(self, uids: Sequence[str]) -> list[StoredInstance]:
        async with self.archive.reading() as connection:
            return await locate(connection, self.visibility, *uids)

    async def one(self, asked: Sequence[str]) -> Shown:
        """The first instance of what the UIDs name. Raises `NotFound`."""
        async for one in self.shown(asked):
            return one
        raise NotFound

    def _cleaned(self, page: Sequence[tuple[StoredInstance, bytes]]) -> list[Shown]:
        shown = []
        for instance, packed in page:
            known = loads(packed)
            if (
                instance.number_of_frames
                and instance.pixel_offset is not None
                and can_be_cleaned(instance.sop_class_uid, instance.transfer_syntax_uid, known)
            ):
                pixels = known["7FE00010"]
                named = self._named(instance)
                shown.append(Shown(instance, self.cleaner.cleaned(known) | named, pixels))
        return shown

    def _named(self, instance: StoredInstance) -> dict[str, Any]:
        """The UIDs by which it is found."""
        uids = {
            "0020000D": instance.study_instance_uid,
            "0020000E": instance.series_instance_uid,
            "00080018": instance.sop_instance_uid,
        }
        return {tag: {"vr": "UI", "Value": [self.cleaner.uid(uid)]} for tag, uid in uids.items()}

    async def _remember(self, study: str) -> None:
        found = await self._located([study])
        if len(_REMEMBERED) + 2 * len(found) > MOST_REMEMBERED:
            _REMEMBERED.clear()
        for one in found:
            for uid in (one.series_instance_uid, one.sop_instance_uid):
                _REMEMBERED[self.key, self.cleaner.uid(uid)] = uid
