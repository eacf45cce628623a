"""What is sent of which rows: spans, media types, and what cannot be had."""

import struct
import tracemalloc
from collections.abc import Sequence
from itertools import islice
from typing import Any

import pytest

from app.blobs.contract import CHUNK
from app.dicom.encoding import WORD_BYTES
from app.dicom.mediatypes import parse_accept
from app.errors import NotAcceptable
from app.fingerprint import Fingerprint
from app.index.instances import BulkValue, FrameTable, StoredInstance
from app.retrieve.contents import (
    Content,
    Fragments,
    Plain,
    Reworked,
    Transcoded,
    cut,
    is_small,
)
from app.retrieve.plan import PARTS_OF_RUN, Part, Plan, batches, plan_frames, plan_instances
from app.retrieve.value_plans import plan_bulk_value, plan_compressed_pixels
from app.span import Span
from tests.unit.retrieve.rows import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    JPEG,
    stored_instance,
)

ANY = parse_accept("*/*")
AS_STORED = parse_accept("application/dicom; transfer-syntax=*")
KEY = "p1/ab/cd/abcd"
FINGERPRINT = Fingerprint(b"\1" * 32, 1)


def frame_table(*entries: Span) -> FrameTable:
    packed = [struct.pack(">QQ", entry.offset, entry.length) for entry in entries]
    return FrameTable(b"".join(packed))


def frames(
    instance: StoredInstance,
    *numbers: int,
    accept: str = "*/*",
    entries: Sequence[Span] = (),
    word: int = 1,
) -> Plan:
    return plan_frames(instance, numbers, entries, parse_accept(accept), word)


def contents(plan: Plan) -> list[Content]:
    return [part.content for part in plan.parts]


def test_an_instance_is_sent_as_it_lies_in_its_blob() -> None:
    plan = plan_instances([stored_instance(blob_offset=50)], AS_STORED, single=True)
    assert contents(plan) == [Plain(KEY, Span(50, 1000), FINGERPRINT)]
    assert plan.parts[0].location == "/studies/1.2/series/1.2.3/instances/1.2.3.4"
    assert plan.parts[0].content_type == f"application/dicom; transfer-syntax={EXPLICIT}"


@pytest.mark.parametrize("uid", [IMPLICIT, BIG_ENDIAN, DEFLATED])
def test_native_instances_are_rewritten_unless_they_are_wanted_as_stored(uid: str) -> None:
    instance = stored_instance(transfer_syntax_uid=uid)
    rewritten = plan_instances([instance], ANY, single=True)
    assert contents(rewritten) == [
        Transcoded(KEY, Span(0, 1000), uid == DEFLATED, EXPLICIT, FINGERPRINT)
    ]
    assert rewritten.parts[0].content_type == f"application/dicom; transfer-syntax={EXPLICIT}"
    assert not rewritten.is_inflated
    as_stored = plan_instances([instance], AS_STORED, single=True)
    assert contents(as_stored) == [Plain(KEY, Span(0, 1000), FINGERPRINT)]


def test_each_instance_of_a_study_has_its_own_transfer_syntax() -> None:
    study = [stored_instance(), stored_instance(transfer_syntax_uid=JPEG)]
    plan = plan_instances(study, ANY, single=False)
    assert [part.content_type.rpartition("=")[2] for part in plan.parts] == [EXPLICIT, JPEG]
    assert plan.offer.multipart


def test_one_instance_that_cannot_be_sent_makes_the_study_not_acceptable() -> None:
    study = [stored_instance(), stored_instance(transfer_syntax_uid=JPEG)]
    asked = f'multipart/related; type="application/dicom"; transfer-syntax={EXPLICIT}'
    with pytest.raises(NotAcceptable, match="JPEG Baseline"):
        plan_instances(study, parse_accept(asked), single=False)


def test_native_frames_are_spans_in_the_order_asked() -> None:
    plan = frames(stored_instance(blob_offset=7), 3, 1)
    assert contents(plan) == [Plain(KEY, Span(907 + 16, 8)), Plain(KEY, Span(907, 8))]
    assert [part.location.rpartition("/")[2] for part in plan.parts] == ["3", "1"]


def test_compressed_frames_are_their_items() -> None:
    instance = stored_instance(transfer_syntax_uid=JPEG, frame_bits=None, blob_offset=5)
    plan = frames(instance, 2, 1, entries=[Span(950, 20), Span(908, 42)])
    assert contents(plan) == [Fragments(KEY, Span(955, 20)), Fragments(KEY, Span(913, 42))]
    assert plan.parts[0].content_type == f"image/jpeg; transfer-syntax={JPEG}"


def test_frames_of_bits_are_brought_to_a_byte() -> None:
    instance = stored_instance(frame_bits=9, bits_allocated=1, pixel_length=5)
    assert contents(frames(instance, 1, 2)) == [
        Reworked(KEY, Span(900, 2), 1, 0, 9),
        Reworked(KEY, Span(901, 2), 1, 1, 9),
    ]


def test_big_endian_words_are_turned_unless_they_are_wanted_as_stored() -> None:
    instance = stored_instance(transfer_syntax_uid=BIG_ENDIAN)
    assert contents(frames(instance, 2, word=2)) == [Reworked(KEY, Span(908, 8), 2, 0, 64)]
    octets = "multipart/related; type=application/octet-stream; transfer-syntax=*"
    assert contents(frames(instance, 2, word=2, accept=octets)) == [Plain(KEY, Span(908, 8))]


def test_a_frame_within_big_endian_words_is_read_with_the_whole_words() -> None:
    instance = stored_instance(
        transfer_syntax_uid=BIG_ENDIAN, bits_allocated=8, frame_bits=24, pixel_length=12
    )
    assert contents(frames(instance, 2, word=2)) == [Reworked(KEY, Span(902, 4), 2, 8, 24)]


def test_frames_of_a_deflated_instance_count_in_the_inflated_file() -> None:
    plan = frames(stored_instance(transfer_syntax_uid=DEFLATED, blob_offset=77), 1)
    assert plan.is_inflated
    assert contents(plan) == [Plain(KEY, Span(900, 8))]


def test_several_frames_are_no_single_part() -> None:
    instance = stored_instance()
    assert not frames(instance, 1, accept="application/octet-stream").offer.multipart
    with pytest.raises(NotAcceptable):
        frames(instance, 1, 2, accept="application/octet-stream")


def test_a_bulk_value_is_its_span() -> None:
    value = BulkValue("00480105/0/00282000", "OB", Span(300, 100))
    plan = plan_bulk_value(stored_instance(blob_offset=5), value, ANY, 2)
    assert contents(plan) == [Plain(KEY, Span(305, 100))]
    assert plan.parts[0].location.endswith("/instances/1.2.3.4/bulkdata/00480105/0/00282000")
    assert not plan.offer.multipart


@pytest.mark.parametrize(("vr", "word"), [("OW", 2), ("OF", 4), ("FD", 8)])
def test_big_endian_bulk_values_are_turned_by_their_vr(vr: str, word: int) -> None:
    instance = stored_instance(transfer_syntax_uid=BIG_ENDIAN)
    plan = plan_bulk_value(instance, BulkValue("00660016", vr, Span(300, 96)), ANY, WORD_BYTES[vr])
    assert contents(plan) == [Reworked(KEY, Span(300, 96), word, 0, 768)]


def test_compressed_pixel_data_is_a_part_a_frame() -> None:
    instance = stored_instance(transfer_syntax_uid=JPEG, frame_bits=None)
    one = plan_compressed_pixels(instance, "7FE00010", frame_table(Span(908, 20)), ANY)
    assert (one.offer.multipart, one.offer.media_type) == (False, "image/jpeg")
    assert contents(one) == [Fragments(KEY, Span(908, 20))]
    spans = Span(908, 20), Span(928, 9)
    two = plan_compressed_pixels(instance, "7FE00010", frame_table(*spans), ANY)
    assert (two.offer.multipart, len(two.parts)) == (True, 2)
    assert contents(two) == [Fragments(KEY, span) for span in spans]


def test_a_part_for_each_of_a_million_frames_takes_no_memory() -> None:
    instance = stored_instance(transfer_syntax_uid=JPEG, frame_bits=None)
    entries = FrameTable(struct.pack(">QQ", 908, 20) * 1_000_000)
    tracemalloc.start()
    plan = plan_compressed_pixels(instance, "7FE00010", entries, ANY)
    first, second = islice(batches(plan.parts), 2)
    plan.validator("http://a/dicomweb")
    assert len(first) == len(second) == PARTS_OF_RUN
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(plan.parts) == 1_000_000
    assert taken < 4 * CHUNK


def test_the_validator_tells_apart_whatever_differs() -> None:
    instance = stored_instance()
    variants: dict[str, Any] = {
        "one frame": (frames(instance, 1), "http://a/dicomweb"),
        "another frame": (frames(instance, 2), "http://a/dicomweb"),
        "both": (frames(instance, 1, 2), "http://a/dicomweb"),
        "in the other order": (frames(instance, 2, 1), "http://a/dicomweb"),
        "by itself": (frames(instance, 1, accept="application/octet-stream"), "http://a/dicomweb"),
        "under another address": (frames(instance, 1), "http://b/dicomweb"),
        "other bytes": (frames(stored_instance(sha256=b"\2" * 32), 1), "http://a/dicomweb"),
        "the instance": (plan_instances([instance], ANY, single=True), "http://a/dicomweb"),
    }
    validators = [plan.validator(base) for plan, base in variants.values()]
    assert len(set(validators)) == len(variants)
    assert frames(instance, 1).validator("x") == frames(stored_instance(), 1).validator("x")


def _part(length: int, *, inflates: bool | None = None) -> Part:
    span = Span(0, length)
    content = (
        Plain(KEY, span)
        if inflates is None
        else Transcoded(KEY, span, inflates, EXPLICIT, FINGERPRINT)
    )
    return Part("application/dicom", "/studies/1.2", content, stored_instance())


@pytest.mark.parametrize(
    ("lengths", "runs"),
    [
        ([4, 4, 4], [[4, 4], [4]]),
        ([10, 1], [[10], [1]]),
        ([1, 11, 1], [[1], [11], [1]]),
        ([11, 12], [[11], [12]]),
        ([5, 5], [[5, 5]]),
        ([0, 0], [[0, 0]]),
        ([], []),
    ],
)
def test_small_parts_are_read_in_runs(lengths: list[int], runs: list[list[int]]) -> None:
    found = batches([_part(length) for length in lengths], 10)
    assert [[part.content.span.length for part in run] for run in found] == runs


def test_what_may_inflate_to_any_length_is_never_small() -> None:
    assert is_small(_part(10).content, 10)
    assert is_small(_part(10, inflates=False).content, 10)
    assert not is_small(_part(10, inflates=True).content, 10)
    assert not is_small(_part(11).content, 10)


def test_a_range_is_cut_out_of_the_span() -> None:
    assert cut(Plain(KEY, Span(100, 50)), Span(10, 5)) == Plain(KEY, Span(110, 5))
    turned = Reworked(KEY, Span(100, 50), 2, 3, 397)
    assert cut(turned, Span(10, 5)) == Reworked(KEY, Span(100, 50), 2, 83, 40)
    assert cut(turned, Span(48, 2)) == Reworked(KEY, Span(100, 50), 2, 387, 13)
