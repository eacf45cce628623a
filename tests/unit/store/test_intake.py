"""One instance on its way in."""

import asyncio
import errno
import hashlib
import os
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from structlog.testing import capture_logs

from app.blobs.contract import BlobsFull
from app.blobs.spool import Spool
from app.dicom.instance import SopInstance, read_instance
from app.index.reservations import ReservedKey
from app.settings import Limits
from app.store.intake import BRIEF, PIECE_BYTES, CutShort, Intake, identified, read, receive
from app.store.outcomes import Refusal
from tests.factories import CT_IMAGE_STORAGE, ct_dataset, part10

LIMITS = Limits.model_construct(
    **{name: field.default for name, field in Limits.model_fields.items()}
)


SEQUENCES = ("Study", "Image", "Instance", "Patient", "Waveform")


def with_escapes(count: int) -> Dataset:
    """An item of so many texts of an escape sequence and nothing else, which become no JSON."""
    item = Dataset()
    for number in range(count):
        item.add_new(0x00091001 + number, "LO", b"\x1b(B")
    return item


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(PIECE_BYTES, tmp_path) as spool:
        yield spool


async def chunks(*data: bytes, then: Exception | None = None) -> AsyncIterator[bytes]:
    for chunk in data:
        yield chunk
    if then is not None:
        raise then


async def taken_in(
    spool: Spool, data: bytes, study: str | None = None, turn: asyncio.Lock | None = None
) -> Intake | Refusal:
    assert await receive(chunks(data), spool, len(data)) is None
    return await read(spool, ReservedKey(1, "p1/key"), LIMITS, study, turn=turn)


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES, 3 * PIECE_BYTES + 5])
async def test_what_arrives_in_pieces_is_there_whole_and_hashed(spool: Spool, size: int) -> None:
    data = os.urandom(size)
    pieces = [data[start : start + 70_000] for start in range(0, size, 70_000)]
    assert await receive(chunks(*pieces), spool, size) is None
    assert spool.read_at(0, size) == data
    assert spool.sha256 == hashlib.sha256(data).digest()


async def test_a_small_piece_does_not_overtake_the_large_one_before_it(spool: Spool) -> None:
    """The large one goes to the disk, for which it is gathered; the small one would fit."""
    pieces = [os.urandom(size) for size in (PIECE_BYTES - 100, 5000, 7, 90, PIECE_BYTES)]
    assert await receive(chunks(*pieces), spool, 3 * PIECE_BYTES) is None
    assert spool.read_at(0, spool.size) == b"".join(pieces)


@given(sizes=st.lists(st.integers(0, 90), max_size=40), memory=st.integers(0, 400))
async def test_bytes_stay_in_their_order_however_they_arrive(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], memory: int
) -> None:
    pieces = [os.urandom(size) for size in sizes]
    with Spool(memory, tmp_path_factory.getbasetemp()) as spool:
        assert await receive(chunks(*pieces), spool, 10_000) is None
        assert spool.read_at(0, spool.size) == b"".join(pieces)


async def test_a_part_beyond_the_limit_is_refused_and_read_to_its_end(spool: Spool) -> None:
    unread = iter([b"a" * 10, b"b", b"c"])

    async def part() -> AsyncIterator[bytes]:
        for chunk in unread:
            yield chunk

    failure = await receive(part(), spool, 10)
    assert isinstance(failure, Refusal)
    assert failure.reason == 0xA700
    assert list(unread) == []


async def test_a_part_that_is_cut_short_is_refused(spool: Spool) -> None:
    failure = await receive(chunks(b"half", then=CutShort()), spool, 10)
    assert isinstance(failure, Refusal)
    assert failure.reason == 0xC000


async def test_a_connection_that_fails_is_no_end_of_data(spool: Spool) -> None:
    with pytest.raises(ConnectionResetError):
        await receive(chunks(b"half", then=ConnectionResetError()), spool, 10)


async def test_a_full_disk_is_given_back_and_the_part_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Spool(0, tmp_path) as spool:
        monkeypatch.setattr(os, "write", full)
        assert isinstance(await receive(chunks(b"a" * PIECE_BYTES, b"b"), spool, 2**30), BlobsFull)


@pytest.mark.parametrize(
    ("more", "in_the_loop"),
    [
        ({}, True),
        ({"PixelData": bytes(PIECE_BYTES // 2)}, True),
        ({"PixelData": bytes(PIECE_BYTES)}, False),
        ({"ReferencedStudySequence": [Dataset()] * BRIEF.items_per_sequence}, True),
        ({"ReferencedStudySequence": [Dataset()] * (BRIEF.items_per_sequence + 1)}, False),
        ({"ImageType": ["ORIGINAL"] * 5000}, False),
        ({"RetrieveURL": "x" * BRIEF.text_bytes}, True),
        ({"RetrieveURL": "x" * (BRIEF.text_bytes + 2)}, False),
        ({"ReferencedStudySequence": [with_escapes(100)]}, True),
        ({"ReferencedStudySequence": [with_escapes(1000)]}, False),
        ({f"Referenced{what}Sequence": [Dataset()] * 900 for what in SEQUENCES}, False),
    ],
)
async def test_a_short_data_set_is_walked_at_once_and_a_long_one_in_a_thread_in_its_turn(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any], in_the_loop: bool
) -> None:
    walkers: list[tuple[bool, bool]] = []
    turn = asyncio.Lock()

    def walk(*arguments: Any) -> SopInstance:
        found = read_instance(*arguments)
        walkers.append((threading.current_thread() is threading.main_thread(), turn.locked()))
        return found

    monkeypatch.setattr("app.store.intake.read_instance", walk)
    taken = await taken_in(spool, part10(ct_dataset(**more)), turn=turn)
    assert isinstance(taken, Intake)
    assert walkers == [(in_the_loop, not in_the_loop)]


async def test_an_instance_becomes_a_row_with_everything_that_will_be_asked_of_it(
    spool: Spool,
) -> None:
    dataset = ct_dataset()
    data = part10(dataset)
    intake = await taken_in(spool, data)
    assert isinstance(intake, Intake)
    instance = intake.instance
    assert instance.blob_key == "p1/key"
    assert instance.length == len(data)
    assert instance.sha256 == hashlib.sha256(data).digest()
    assert instance.study["patient_name"] == "=doe^jane="
    assert instance.series["modality"] == "CT"
    assert (instance.rows, instance.columns, instance.bits_allocated) == (16, 16, 16)
    assert instance.number_of_frames == 1
    assert instance.pixel_offset is not None
    assert data[instance.pixel_offset :][:512] == dataset.PixelData
    stored = intake.stored()
    assert stored.sop_class_uid == CT_IMAGE_STORAGE
    assert stored.sop_instance_uid == dataset.SOPInstanceUID
    assert stored.warnings == ()


async def test_a_value_that_cannot_be_searched_for_is_a_warning(spool: Spool) -> None:
    intake = await taken_in(spool, part10(with_raw(StudyDate="99999999")))
    assert isinstance(intake, Intake)
    assert [problem.tag for problem in intake.warnings] == ["00080020"]


async def test_an_instance_of_another_study_than_that_of_the_url_is_refused(spool: Spool) -> None:
    dataset = ct_dataset()
    refusal = await taken_in(spool, part10(dataset), study="1.2.3")
    assert isinstance(refusal, Refusal)
    assert refusal.reason == 0xA901
    assert refusal.sop_instance_uid == dataset.SOPInstanceUID
    assert [problem.tag for problem in refusal.attributes] == ["0020000D"]


async def test_of_a_file_that_breaks_off_the_identity_is_still_told(spool: Spool) -> None:
    dataset = ct_dataset()
    refusal = await taken_in(spool, part10(dataset)[:-1])
    assert isinstance(refusal, Refusal)
    assert refusal.reason == 0xC000
    assert refusal.sop_class_uid == CT_IMAGE_STORAGE
    assert refusal.sop_instance_uid == dataset.SOPInstanceUID


@pytest.mark.parametrize("step", ["read_instance", "new_instance"])
async def test_an_instance_on_which_the_archive_fails_is_refused_by_itself(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def failing(*_: Any, **__: Any) -> None:
        raise TypeError("unhashable type: 'dict'")

    monkeypatch.setattr(f"app.store.intake.{step}", failing)
    dataset = ct_dataset()
    with capture_logs() as logged:
        refusal = await taken_in(spool, part10(dataset))
    assert isinstance(refusal, Refusal)
    assert refusal.reason == 0x0110
    assert refusal.sop_instance_uid == dataset.SOPInstanceUID
    assert "dict" not in refusal.comment
    assert logged[-1]["places"][-1] == "builtins.TypeError"


@pytest.mark.parametrize("data", [b"", b"<html>", bytes(132), bytes(128) + b"DICM"])
async def test_what_is_no_dicom_is_refused_without_identity(spool: Spool, data: bytes) -> None:
    refusal = await taken_in(spool, data)
    assert isinstance(refusal, Refusal)
    assert refusal.sop_instance_uid is None


@pytest.mark.parametrize(
    ("keyword", "reason"), [("SOPInstanceUID", 0x0120), ("StudyInstanceUID", 0x0120)]
)
async def test_a_missing_identifier_is_named(spool: Spool, keyword: str, reason: int) -> None:
    refusal = await taken_in(spool, part10(ct_dataset(**{keyword: None})))
    assert isinstance(refusal, Refusal)
    assert refusal.reason == reason
    assert len(refusal.attributes) == 1
    assert not refusal.attributes[0].why.startswith("(")


async def test_uids_of_the_file_meta_are_told_only_if_they_are_uids(spool: Spool) -> None:
    dataset = ct_dataset(SOPInstanceUID="1.2.3")
    data = part10(dataset).replace(b"1.2.3\0", b"../..\0")
    await receive(chunks(data), spool, len(data))
    assert identified(Refusal(0xC000, "x"), spool).sop_instance_uid is None


def with_raw(**values: Any) -> Any:
    """A CT Image with values that pydicom would warn about."""
    dataset = ct_dataset()
    for keyword, value in values.items():
        dataset[keyword]._value = value
    return dataset
