"""What will be sent of one bulk value, which may be pixel data: as pure as `app.retrieve.plan`."""

from collections.abc import Sequence

from app.dicom import mediatypes
from app.dicom.encoding import WORD_BYTES
from app.dicom.mediatypes import MediaRange, Offer
from app.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN, transfer_syntax
from app.index.instances import BulkValue, FrameTable, StoredInstance
from app.retrieve.contents import Content, Plain, RecodedInstance, Reworked, origin_of
from app.retrieve.plan import (
    FrameParts,
    Part,
    Plan,
    Recodable,
    chosen,
    fragments_of,
    instance_path,
    recoding_of,
)


def plan_bulk_value(
    instance: StoredInstance, value: BulkValue, accepted: Sequence[MediaRange], word: int
) -> Plan:
    """Send one bulk value that is not compressed pixel data. Raises `NotAcceptable`.

    `word`: bytes of one of its words.
    """
    stored = transfer_syntax(instance.transfer_syntax_uid)
    offer = chosen(accepted, mediatypes.bulkdata_offers(stored, pixels=False), stored)
    return Plan(offer, (part_of_value(instance, value, offer, word),), stored.deflated)


def part_of_value(instance: StoredInstance, value: BulkValue, offer: Offer, word: int) -> Part:
    """A bulk value that is not compressed pixel data, as `plan_bulk_value` sends it."""
    span = value.span.shifted(origin_of(instance))
    word = 1 if offer.as_stored else word
    content: Content = Plain(instance.blob_key, span)
    if word > 1:
        content = Reworked(instance.blob_key, span, word, 0, 8 * span.length)
    location = f"{instance_path(instance)}/bulkdata/{value.path}"
    return Part(offer.content_type, location, content, instance)


def plan_compressed_pixels(
    instance: StoredInstance,
    path: str,
    entries: FrameTable,
    accepted: Sequence[MediaRange],
    source: Recodable | None = None,
) -> Plan:
    """Send compressed pixel data as a bulk value: every frame is a part. Raises `NotAcceptable`.

    Or decoded, as one value, if it is recodable and not acceptable otherwise.
    """
    stored = transfer_syntax(instance.transfer_syntax_uid)
    if len(entries) == 1:
        offers = mediatypes.bulkdata_offers(stored, pixels=True)
    else:
        offers = mediatypes.frame_offers(stored, single=False)
    offer = chosen(accepted, (*offers, *decoded_offers(source, single=True)), stored)
    if not offer.as_stored:
        return Plan(offer, (part_of_decoded(instance, path, offer, source),))
    return Plan(offer, parts_of_compressed(instance, path, entries, offer), stored.deflated)


def decoded_offers(source: Recodable | None, *, single: bool) -> tuple[Offer, ...]:
    """How compressed pixel data can be sent decoded; `single`: there is no other value."""
    if source is None or EXPLICIT_VR_LITTLE_ENDIAN not in source.targets:
        return ()
    return mediatypes.decoded_value_offers(single=single)


def part_of_decoded(
    instance: StoredInstance, path: str, offer: Offer, source: Recodable | None
) -> Part:
    """Compressed pixel data as one value, the frames decoded one after the other."""
    assert source is not None, "nothing else is offered of what is not recodable"
    recoding = recoding_of(source, offer)
    content = RecodedInstance(instance, recoding, source.entries, pixels_only=True)
    location = f"{instance_path(instance)}/bulkdata/{path}"
    return Part(offer.content_type, location, content, instance)


def parts_of_compressed(
    instance: StoredInstance, path: str, entries: FrameTable, offer: Offer
) -> tuple[Part, ...] | FrameParts:
    """Compressed pixel data, as `plan_compressed_pixels` sends it."""
    location = f"{instance_path(instance)}/bulkdata/{path}"
    (first,) = fragments_of(instance, [entries[0]])
    model = Part(offer.content_type, location, first, instance)
    return (model,) if len(entries) == 1 else FrameParts(model, entries)


def word_of_pixels(instance: StoredInstance, vr: str) -> int:
    """Bytes of one word of native pixel data of this VR (PS3.5 8.1.1)."""
    return {16: 2, 32: 4, 64: 8}.get(instance.bits_allocated or 0, WORD_BYTES.get(vr, 1))
