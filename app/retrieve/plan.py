"""What will be sent, decided before the first byte: rows and an Accept list in, spans out. Pure.

    instances, frames or a bulk value  x  what the caller accepts  ->  Plan

A plan is one offer and its parts; a part says where its bytes lie and what is done to them on the
way out. Nothing here reads anything. Spans of a plan count from the first byte of the blob, or, of
an instance that was stored deflated, from the first byte of the inflated file.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from app.blobs.contract import CHUNK
from app.dicom import mediatypes
from app.dicom.frames import native_span
from app.dicom.mediatypes import MediaRange, Offer
from app.dicom.uids import TRANSFER_SYNTAXES, TransferSyntax
from app.errors import NotAcceptable
from app.index.instances import BulkValue, FrameTable, StoredInstance
from app.span import Span


@dataclass(frozen=True, slots=True)
class Plain:
    """Bytes that are sent as they lie."""

    key: str
    span: Span

    @property
    def length(self) -> int:
        """How many bytes will be sent."""
        return self.span.length


@dataclass(frozen=True, slots=True)
class Fragments:
    """The items of one compressed frame, which are sent without their headers."""

    key: str
    span: Span

    @property
    def length(self) -> None:
        """Not known until the headers of the items have been read."""
        return


@dataclass(frozen=True, slots=True)
class Reworked:
    """Native bytes that change on the way: big-endian words, frames that begin inside a byte.

    After the words of `word` bytes in `span` have been reversed, `bits` bits are sent, beginning
    with bit `shift`; the lowest bit of the first byte is number 0. A last byte is filled with 0.
    """

    key: str
    span: Span
    word: int
    shift: int
    bits: int

    @property
    def length(self) -> int:
        """How many bytes will be sent."""
        return -(-self.bits // 8)


@dataclass(frozen=True, slots=True)
class Transcoded:
    """A whole native instance, which is rewritten in Explicit VR Little Endian."""

    key: str
    span: Span
    inflates: bool
    """Whether it was stored deflated, and may become any length."""

    @property
    def length(self) -> None:
        """Not known until it has been rewritten."""
        return


WORD_BYTES = {
    **dict.fromkeys(("AT", "OW", "SS", "US"), 2),
    **dict.fromkeys(("FL", "OF", "OL", "SL", "UL"), 4),
    **dict.fromkeys(("FD", "OD", "OV", "SV", "UV"), 8),
}
"""Bytes of one word of a VR, which lie in reverse in big endian (PS3.5 7.3); 1 of others."""

PARTS_OF_RUN = 1024
"""Parts that are made at once, however small: others wait meanwhile."""

Content = Plain | Fragments | Reworked | Transcoded


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
class Plan:
    """A message that can be sent: the offer that was chosen, and at least one part."""

    offer: Offer
    parts: tuple[Part, ...] | FrameParts
    is_inflated: bool = False
    """Whether spans count in the inflated file of the (only) instance."""

    @property
    def models(self) -> tuple[Part, ...]:
        """The parts, but one alone of those that are told apart by their spans only."""
        return (self.parts.model,) if isinstance(self.parts, FrameParts) else self.parts

    def validator(self, base: str) -> str:
        """32 hex digits that are equal only if the message is equal byte by byte.

        Made of the SHA-256 of the stored bytes, so that no stored bytes can contain it, and it can
        serve as the boundary. `base` is the DICOMweb base URL, which the message contains.
        """
        digest = hashlib.blake2b(digest_size=16)
        digest.update(f"{base} {self.offer}".encode())
        for part in self.models:
            digest.update(f"\n{part.location} {part.content_type} ".encode())
            digest.update(part.instance.sha256)
        return digest.hexdigest()


def plan_instances(
    instances: Sequence[StoredInstance], accepted: Sequence[MediaRange], *, single: bool
) -> Plan:
    """Send instances whole. `single`: an instance was asked for, and may be the whole body.

    Raises `NotAcceptable` if one of them cannot be sent in any acceptable way.
    """
    offers: dict[str, Offer] = {}
    parts = []
    for instance in instances:
        uid = instance.transfer_syntax_uid
        if uid not in offers:
            stored = _syntax(instance)
            offers[uid] = _chosen(accepted, mediatypes.dicom_offers(stored, single=single), stored)
        offer = offers[uid]
        key, span = instance.blob_key, Span(instance.blob_offset, instance.length)
        content: Content = Plain(key, span)
        if not offer.as_stored:
            content = Transcoded(key, span, _syntax(instance).deflated)
        parts.append(Part(offer.content_type, instance_path(instance), content, instance))
    return Plan(offers[instances[0].transfer_syntax_uid], tuple(parts))


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
    offer = _chosen(accepted, offers, stored)
    contents: Iterable[Content]
    if stored.encapsulated:
        contents = _compressed(instance, entries)
    else:
        word = 1 if offer.as_stored else word
        contents = (_native(instance, number, stored, word) for number in numbers)
    path = f"{instance_path(instance)}/frames"
    parts = tuple(
        Part(offer.content_type, f"{path}/{number}", content, instance)
        for number, content in zip(numbers, contents, strict=True)
    )
    return Plan(offer, parts, stored.deflated)


def plan_bulk_value(
    instance: StoredInstance, value: BulkValue, accepted: Sequence[MediaRange], word: int
) -> Plan:
    """Send one bulk value that is not compressed pixel data. Raises `NotAcceptable`.

    `word`: bytes of one of its words.
    """
    stored = _syntax(instance)
    offer = _chosen(accepted, mediatypes.bulkdata_offers(stored, pixels=False), stored)
    span = value.span.shifted(origin_of(instance))
    word = 1 if offer.as_stored else word
    content: Content = Plain(instance.blob_key, span)
    if word > 1:
        content = Reworked(instance.blob_key, span, word, 0, 8 * span.length)
    location = f"{instance_path(instance)}/bulkdata/{value.path}"
    part = Part(offer.content_type, location, content, instance)
    return Plan(offer, (part,), stored.deflated)


def plan_compressed_pixels(
    instance: StoredInstance, path: str, entries: FrameTable, accepted: Sequence[MediaRange]
) -> Plan:
    """Send compressed pixel data as a bulk value: every frame is a part. Raises `NotAcceptable`."""
    stored = _syntax(instance)
    if len(entries) == 1:
        offers = mediatypes.bulkdata_offers(stored, pixels=True)
    else:
        offers = mediatypes.frame_offers(stored, single=False)
    offer = _chosen(accepted, offers, stored)
    location = f"{instance_path(instance)}/bulkdata/{path}"
    (first,) = _compressed(instance, [entries[0]])
    model = Part(offer.content_type, location, first, instance)
    parts = (model,) if len(entries) == 1 else FrameParts(model, entries)
    return Plan(offer, parts, stored.deflated)


def word_of_pixels(instance: StoredInstance, vr: str) -> int:
    """Bytes of one word of native pixel data of this VR (PS3.5 8.1.1)."""
    return {16: 2, 32: 4, 64: 8}.get(instance.bits_allocated or 0, WORD_BYTES.get(vr, 1))


def instance_path(instance: StoredInstance) -> str:
    """The instance's resource below the DICOMweb base."""
    series = series_path(instance.study_instance_uid, instance.series_instance_uid)
    return f"{series}/instances/{instance.sop_instance_uid}"


def series_path(study_instance_uid: str, series_instance_uid: str) -> str:
    """The series' resource below the DICOMweb base."""
    return f"/studies/{study_instance_uid}/series/{series_instance_uid}"


def _syntax(instance: StoredInstance) -> TransferSyntax:
    return TRANSFER_SYNTAXES[instance.transfer_syntax_uid]


def _chosen(
    accepted: Sequence[MediaRange], offers: Sequence[Offer], stored: TransferSyntax
) -> Offer:
    offer = mediatypes.choose(accepted, offers)
    if offer is None:
        raise NotAcceptable(
            f"Stored is {stored.name}, which can be sent as: "
            + ", ".join(dict.fromkeys(one.content_type for one in offers))
        )
    return offer


def origin_of(instance: StoredInstance) -> int:
    """Where the spans of an instance begin to count: in its blob, or in the inflated file."""
    return 0 if _syntax(instance).deflated else instance.blob_offset


def _compressed(instance: StoredInstance, entries: Iterable[Span]) -> Iterator[Fragments]:
    for entry in entries:
        yield Fragments(instance.blob_key, entry.shifted(instance.blob_offset))


def _native(instance: StoredInstance, number: int, stored: TransferSyntax, word: int) -> Content:
    """Frame `number`, with the words of `word` bytes reversed that it lies in."""
    assert instance.pixel_offset is not None
    assert instance.frame_bits is not None
    span, shift = native_span(instance.pixel_offset, instance.frame_bits, number)
    origin = origin_of(instance)
    if word == 1 and shift == 0 and instance.frame_bits % 8 == 0:
        return Plain(instance.blob_key, span.shifted(origin))
    before = (span.offset - instance.pixel_offset) % word
    start = span.offset - before
    end = span.end + (instance.pixel_offset - span.end) % word
    words = Span(start, end - start).shifted(origin)
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


def cut(content: Content, span: Span) -> Content:
    """A span of what the content sends; of content whose length is known."""
    match content:
        case Plain():
            return Plain(content.key, span.shifted(content.span.offset))
        case Reworked():
            shift = content.shift + 8 * span.offset
            bits = min(8 * span.length, content.bits - 8 * span.offset)
            return replace(content, shift=shift, bits=bits)
        case _:
            raise ValueError("the length of this content is not known")


def is_small(content: Content, limit: int = CHUNK) -> bool:
    """Whether the content can be read, and made, at once."""
    inflates = isinstance(content, Transcoded) and content.inflates
    return content.span.length <= limit and not inflates
