"""What will be sent, decided before the first byte: rows and an Accept list in, spans out. Pure.

    instances, frames or a bulk value  x  what the caller accepts  ->  Plan

A plan is one offer and its parts; a part says where its bytes lie and what is done to them on the
way out. Nothing here reads anything. Spans of a plan count from the first byte of the blob, or, of
an instance that was stored deflated, from the first byte of the inflated file.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from types import MappingProxyType

from app.blobs.contract import CHUNK
from app.dicom import mediatypes
from app.dicom.description import PixelDescription
from app.dicom.frames import native_span
from app.dicom.mediatypes import MediaRange, Offer
from app.dicom.recoding import RECIPE, Recoding
from app.dicom.uids import TRANSFER_SYNTAXES, TransferSyntax
from app.errors import NotAcceptable
from app.index.instances import FrameTable, StoredInstance
from app.index.visibility import Visibility
from app.retrieve.contents import (
    Content,
    Fragments,
    Plain,
    RecodedFrame,
    RecodedInstance,
    Reworked,
    Transcoded,
    is_small,
    origin_of,
    recoded_frame,
    whole_of,
)
from app.span import Span

PARTS_OF_RUN = 1024
"""Parts that are made at once, however small: others wait meanwhile."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a message, or its whole body."""

    content_type: str
    location: str
    """What it is a representation of: a path below the DICOMweb base, as `/studies/1.2/…`."""
    content: Content
    instance: StoredInstance


@dataclass(frozen=True, slots=True)
class FrameParts:
    """A part for every compressed frame of an instance, made as it is needed.

    There may be millions of them, and only their spans differ.
    """

    model: Part
    entries: FrameTable

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Part:
        instance = self.model.instance
        span = self.entries[index].shifted(instance.blob_offset)
        return replace(self.model, content=Fragments(instance.blob_key, span))

    def __iter__(self) -> Iterator[Part]:
        return map(self.__getitem__, range(len(self)))


@dataclass(frozen=True, slots=True)
class PartsOfMany:
    """The parts of one instance after those of another."""

    groups: Sequence[tuple[Part, ...] | FrameParts]

    def __len__(self) -> int:
        return sum(map(len, self.groups))

    def __getitem__(self, index: int) -> Part:
        return next(islice(self, index, None))

    def __iter__(self) -> Iterator[Part]:
        return chain.from_iterable(self.groups)


@dataclass(frozen=True, slots=True)
class Plan:
    """A message that can be sent: the offer that was chosen, and at least one part."""

    offer: Offer
    parts: tuple[Part, ...] | FrameParts | PartsOfMany
    is_inflated: bool = False
    """Whether spans count in the inflated file of the (only) instance."""
    left_out: int | None = None
    """Instances that should be in it, and of which the bytes are lost; None if none may be."""
    directory_for: Visibility | None = None
    """Who sees the metadata of which a DICOMDIR is made, if a ZIP archive is to have one."""

    @property
    def models(self) -> tuple[Part, ...]:
        """The parts, but one alone of those that are told apart by their spans only."""
        groups = self.parts.groups if isinstance(self.parts, PartsOfMany) else (self.parts,)
        models = ((one.model,) if isinstance(one, FrameParts) else one for one in groups)
        return tuple(chain.from_iterable(models))

    @property
    def is_recoded(self) -> bool:
        """Whether pixels are decoded or encoded for it."""
        return any(isinstance(one.content, RecodedFrame | RecodedInstance) for one in self.models)

    def validator(self, base: str) -> str:
        """32 hex digits that are equal only if the message is equal byte by byte.

        Made of the SHA-256 of the stored bytes, so that no stored bytes can contain it, and it can
        serve as the boundary. `base` is the DICOMweb base URL, which the message contains.
        """
        digest = hashlib.blake2b(digest_size=16)
        digest.update(f"{base} {self.offer} {RECIPE if self.is_recoded else ''}".encode())
        if self.directory_for is not None:
            digest.update(b" with a DICOMDIR")
        for part in self.models:
            digest.update(f"\n{part.location} {part.content_type} ".encode())
            digest.update(part.instance.sha256)
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Recodable:
    """What has to be known of an instance to send its frames in other transfer syntaxes."""

    description: PixelDescription
    targets: tuple[str, ...]
    entries: FrameTable | None = None
    """Where the items of compressed frames lie."""


def plan_instances(
    instances: Sequence[StoredInstance],
    accepted: Sequence[MediaRange],
    *,
    single: bool,
    recodable: Mapping[int, Recodable] = MappingProxyType({}),
) -> Plan:
    """Send instances whole. `single`: an instance was asked for, and may be the whole body.

    In a ZIP archive, if that is preferred. Those that cannot be sent without touching their pixels
    are recoded, if they are `recodable`, by their ids. Raises `NotAcceptable` if one of them cannot
    be sent in any acceptable way.
    """
    in_form = mediatypes.as_zip if mediatypes.prefers_zip(accepted) else tuple
    offers: dict[str, Offer | None] = {}
    sent: list[Offer] = []
    parts = []
    for instance in instances:
        stored = _syntax(instance)
        if stored.uid not in offers:
            offered = in_form(mediatypes.dicom_offers(stored, single=single))
            offers[stored.uid] = mediatypes.choose(accepted, offered)
        offer = offers[stored.uid]
        whole = whole_of(instance)
        content: Content
        if offer is None:
            source = recodable.get(instance.id)
            possible = source.targets if source is not None else ()
            made = mediatypes.recoded_dicom_offers(possible, single=single)
            offered = in_form((*mediatypes.dicom_offers(stored, single=single), *made))
            offer = chosen(accepted, offered, stored)
            entries = source.entries if source is not None else None
            content = RecodedInstance(instance, recoding_of(source, offer), entries)
        elif offer.as_stored:
            content = whole
        else:
            assert offer.transfer_syntax_uid is not None
            target = offer.transfer_syntax_uid
            content = Transcoded(
                whole.key, whole.span, stored.deflated, target, instance.fingerprint
            )
        sent.append(offer)
        content_type = replace(offer, media_type=mediatypes.DICOM).content_type
        parts.append(Part(content_type, instance_path(instance), content, instance))
    return Plan(sent[0], tuple(parts))


def plan_frames(
    instance: StoredInstance,
    numbers: Sequence[int],
    entries: Sequence[Span],
    accepted: Sequence[MediaRange],
    word: int,
) -> Plan:
    """Send frames, in the order of their 1-based `numbers`.

    `entries`: where the items of each lie, counted from the instance's first byte, if they are
    compressed. `word`: bytes of one word of native pixel data. Raises `NotAcceptable`.
    """
    stored = _syntax(instance)
    offers = mediatypes.frame_offers(stored, single=len(numbers) == 1)
    offer = chosen(accepted, offers, stored)
    contents: Iterable[Content]
    if stored.encapsulated:
        contents = fragments_of(instance, entries)
    else:
        word = 1 if offer.as_stored else word
        contents = (_native(instance, number, word) for number in numbers)
    return _of_frames(instance, numbers, offer, contents)


def plan_recoded_frames(
    instance: StoredInstance,
    numbers: Sequence[int],
    accepted: Sequence[MediaRange],
    source: Recodable | None,
) -> Plan:
    """As `plan_frames`, but decoded or encoded, if they are recodable. Raises `NotAcceptable`."""
    stored, single = _syntax(instance), len(numbers) == 1
    possible = source.targets if source is not None else ()
    made = mediatypes.recoded_frame_offers(possible, single=single)
    offers = (*mediatypes.frame_offers(stored, single=single), *made)
    offer = chosen(accepted, offers, stored)
    recoding = recoding_of(source, offer)
    entries = source.entries if source is not None else None
    contents = (recoded_frame(instance, number, entries, recoding) for number in numbers)
    return _of_frames(instance, numbers, offer, contents)


def recoding_of(source: Recodable | None, offer: Offer) -> Recoding:
    """How frames are recoded to what was chosen of the offers for `source`."""
    assert source is not None, "nothing else is offered of what is not recodable"
    assert offer.transfer_syntax_uid is not None
    return Recoding(source.description, offer.transfer_syntax_uid)


def _of_frames(
    instance: StoredInstance, numbers: Sequence[int], offer: Offer, contents: Iterable[Content]
) -> Plan:
    path = f"{instance_path(instance)}/frames"
    parts = tuple(
        Part(offer.content_type, f"{path}/{number}", content, instance)
        for number, content in zip(numbers, contents, strict=True)
    )
    return Plan(offer, parts, _syntax(instance).deflated)


def instance_path(instance: StoredInstance) -> str:
    """The instance's resource below the DICOMweb base."""
    series = series_path(instance.study_instance_uid, instance.series_instance_uid)
    return f"{series}/instances/{instance.sop_instance_uid}"


def series_path(study_instance_uid: str, series_instance_uid: str) -> str:
    """The series' resource below the DICOMweb base."""
    return f"/studies/{study_instance_uid}/series/{series_instance_uid}"


def _syntax(instance: StoredInstance) -> TransferSyntax:
    return TRANSFER_SYNTAXES[instance.transfer_syntax_uid]


def chosen(
    accepted: Sequence[MediaRange], offers: Sequence[Offer], stored: TransferSyntax
) -> Offer:
    """The offer to send of what is stored so. Raises `NotAcceptable`, which tells what there is."""
    offer = mediatypes.choose(accepted, offers)
    if offer is None:
        raise NotAcceptable(
            f"Stored is {stored.name}, which can be sent as: "
            + ", ".join(dict.fromkeys(one.content_type for one in offers))
        )
    return offer


def fragments_of(instance: StoredInstance, entries: Iterable[Span]) -> Iterator[Fragments]:
    """The contents of compressed frames. `entries`: where the items of each lie in the instance."""
    for entry in entries:
        yield Fragments(instance.blob_key, entry.shifted(instance.blob_offset))


def _native(instance: StoredInstance, number: int, word: int) -> Content:
    """Frame `number`, with the words of `word` bytes reversed that it lies in."""
    assert instance.pixel_offset is not None
    assert instance.frame_bits is not None
    span, shift = native_span(instance.pixel_offset, instance.frame_bits, number)
    first = origin_of(instance)
    if word == 1 and shift == 0 and instance.frame_bits % 8 == 0:
        return Plain(instance.blob_key, span.shifted(first))
    before = (span.offset - instance.pixel_offset) % word
    start = span.offset - before
    end = span.end + (instance.pixel_offset - span.end) % word
    words = Span(start, end - start).shifted(first)
    return Reworked(instance.blob_key, words, word, shift + 8 * before, instance.frame_bits)


def batches(parts: Iterable[Part], limit: int = CHUNK) -> Iterator[tuple[Part, ...]]:
    """The parts in runs that can be read at once: what they are made of is `limit` bytes at most.

    A part that is not small is a run of its own, and no run has more than `PARTS_OF_RUN` parts.
    """
    run: list[Part] = []
    room = limit
    for part in parts:
        size = part.content.span.length if is_small(part.content, limit) else limit + 1
        if run and (size > room or len(run) == PARTS_OF_RUN):
            yield tuple(run)
            run, room = [], limit
        run.append(part)
        room -= size
    if run:
        yield tuple(run)
