"""Where the settings ask for it, what is stored is changed, and everybody is told."""

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian

from app.dicom import nativexml
from app.settings import Settings
from tests.factories import ct_dataset, part10
from tests.fixtures.server import Server, serving
from tests.integration.store.conftest import Modality, StoreResponse, value

CHANGED = {"coerce_issuer_of_patient_id": "HOSPITAL", "coerce_character_set": "ISO_IR 192"}


@pytest.fixture
def coercing_server(settings: Settings) -> Iterator[Server]:
    with serving(settings.model_copy(update=CHANGED)) as running:
        yield running


@pytest.fixture
async def client(coercing_server: Server) -> AsyncIterator[Modality]:
    async with coercing_server.client("store", "delete", "read") as http:
        yield Modality(http)


async def retrieved(client: Modality, answer: StoreResponse) -> bytes:
    (item,) = answer.module["00081199"]["Value"]
    accept = {"Accept": "application/dicom; transfer-syntax=*"}
    return (await client.http.get(value(item, "00081190"), headers=accept)).content


def in_utf8(**attributes: Any) -> bytes:
    """A file with a text in UTF-8 of which nothing is said."""
    dataset = ct_dataset(SpecificCharacterSet="ISO_IR 192", PatientName="Müller^J", **attributes)
    file = part10(dataset)
    at = file.index(b"\x08\0\x05\0CS")
    return file[:at] + file[at + 18 :]


async def test_what_is_changed_is_said_in_the_answer_and_in_what_is_stored(
    client: Modality,
) -> None:
    sent = in_utf8()
    answer = await client.store(sent)
    assert answer.status == 202
    (item,) = answer.module["00081199"]["Value"]
    assert value(item, "00081196") == 0xB000
    told = value(item, "04000561")
    before = value(told, "04000550")
    assert before == {"00080005": {"vr": "CS"}, "00100021": {"vr": "LO"}}
    stored = dcmread(io.BytesIO(file := await retrieved(client, answer)))
    assert stored.IssuerOfPatientID == "HOSPITAL"
    assert stored.PatientName == "Müller^J"
    (original,) = stored.OriginalAttributesSequence
    assert original.AttributeModificationDateTime == value(told, "04000562")
    assert file.endswith(sent[-500:])
    found = (
        await client.http.get("/studies?IssuerOfPatientID=HOSPITAL&PatientName=müller*")
    ).json()
    assert len(found) == 1


async def test_what_is_added_does_not_count_against_the_sender(settings: Settings) -> None:
    sent = in_utf8()
    elements = len(dcmread(io.BytesIO(sent)))
    limits = settings.limits.model_copy(
        update={
            "instance_bytes": len(sent),
            "nesting": 1,
            "elements": elements,
            "elements_per_level": elements,
            "items_per_sequence": 1,
        }
    )
    with serving(settings.model_copy(update={**CHANGED, "limits": limits})) as running:
        async with running.client("store", "read") as http:
            client = Modality(http)
            answer = await client.store(sent)
            assert answer.status == 202, answer.module
            (item,) = answer.module["00081199"]["Value"]
            assert value(item, "00081196") == 0xB000
            assert dcmread(io.BytesIO(await retrieved(client, answer))).IssuerOfPatientID
            more = await client.store(in_utf8(InstitutionName="x"))
            assert more.status == 409


async def test_the_answer_in_xml_tells_it_too(client: Modality) -> None:
    answer = await client.store(in_utf8(), Accept="application/dicom+xml")
    (item,) = nativexml.loads(answer.http.content)["00081199"]["Value"]
    assert value(value(item, "04000561"), "04000565") == "COERCE"


@pytest.mark.parametrize("policy", ["reject", "replace", "keep"])
async def test_the_same_file_again_is_the_same_instance(client: Modality, policy: str) -> None:
    sent = in_utf8()
    first = await client.store(sent)
    stored = await retrieved(client, first)
    await asyncio.sleep(1.1)  # so that another moment would be told
    for _ in range(2):
        body = await client.http.post(
            f"/studies?duplicates={policy}",
            content=sent,
            headers={"Content-Type": "application/dicom"},
        )
        assert "00081198" not in body.json()
        assert (
            body.json()["00081199"]["Value"][0]["00081155"]
            == (first.module["00081199"]["Value"][0]["00081155"])
        )
    assert await retrieved(client, first) == stored
    # What is stored, as it is retrieved, is nothing new either.
    assert (await client.store(stored)).status == 200


async def test_other_content_is_a_duplicate_as_ever(client: Modality) -> None:
    dataset = ct_dataset()
    await client.store(part10(dataset))
    dataset.PatientName = "Other"
    answer = await client.store(part10(dataset))
    assert answer.failed == [(dataset.SOPInstanceUID, 0x0111)]


@pytest.mark.parametrize("configured", [{}, CHANGED], ids=["nothing", "something"])
async def test_no_file_says_of_itself_that_it_was_made_of_another(
    settings: Settings, configured: dict[str, str]
) -> None:
    """Somebody comes first under a UID, and the file that belongs there were stored already."""
    dataset = ct_dataset()
    true = part10(dataset)
    made_of = Dataset()
    made_of.ReasonForTheAttributeModification = "COERCE"
    made_of.private_block(0x0401, "HILUM", create=True).add_new(
        0x00, "LO", hashlib.sha256(true).hexdigest()
    )
    dataset.OriginalAttributesSequence = [made_of]
    dataset.PatientName = "Somebody^Else"
    with serving(settings.model_copy(update=configured)) as running:
        async with running.client("store") as http:
            client = Modality(http)
            assert (await client.store(part10(dataset))).failed == []
            answer = await client.store(true)
    assert answer.failed == [(dataset.SOPInstanceUID, 0x0111)]


async def test_a_file_that_came_before_the_setting_is_the_same_one_after_it(
    settings: Settings, coercing_server: Server, client: Modality
) -> None:
    sent, later = part10(ct_dataset()), in_utf8()
    with serving(settings) as plain:
        async with plain.client("store", "read") as http:
            as_ever = Modality(http)
            answer = await as_ever.store(sent)
            assert answer.status == 200
            assert await retrieved(as_ever, answer) == sent
            again = await client.store(sent)
            assert again.stored == answer.stored
            assert again.status == 200, "what is stored was not changed"
            assert await retrieved(client, again) == sent
            await client.store(later)
            assert (await as_ever.store(later)).failed == []


async def test_32_at_once_leave_one_instance(client: Modality) -> None:
    sent = in_utf8()
    answers = await asyncio.gather(*(client.store(sent) for _ in range(32)))
    assert {answer.status for answer in answers} == {202}
    assert len({await retrieved(client, answer) for answer in answers[:3]}) == 1


async def test_a_large_instance_is_changed_on_the_disk(client: Modality) -> None:
    pixels = bytes(range(256)) * 4 * 3000
    sent = part10(ct_dataset(Rows=1200, Columns=1280, PixelData=pixels))
    answer = await client.store(sent)
    assert answer.status == 202
    file = await retrieved(client, answer)
    assert file.endswith(pixels)
    assert dcmread(io.BytesIO(file)).IssuerOfPatientID == "HOSPITAL"


async def test_what_cannot_be_changed_is_stored_as_it_came(client: Modality) -> None:
    broken = in_utf8(IssuerOfPatientID="OTHER").replace("ü".encode(), b"\xfc\xfc")
    answer = await client.store(broken)
    assert answer.status == 200
    assert await retrieved(client, answer) == broken
    deflated = part10(ct_dataset(), DeflatedExplicitVRLittleEndian)
    answer = await client.store(deflated)
    assert answer.status == 200
    assert await retrieved(client, answer) == deflated


async def test_what_cannot_be_read_is_refused_as_ever(client: Modality) -> None:
    assert (await client.store(part10(ct_dataset())[:-1])).failed[0][1] == 0xC000


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("coerce_issuer_of_patient_id", ""),
        ("coerce_issuer_of_patient_id", "a\\b"),
        ("coerce_issuer_of_patient_id", "ä"),
        ("coerce_issuer_of_patient_id", "x" * 65),
        ("coerce_character_set", "ISO 2022 IR 87"),
        ("coerce_character_set", "utf-8"),
        ("coerce_character_set", "ISO_IR 999"),
    ],
)
def test_a_setting_that_no_attribute_can_have_is_refused(name: str, given: str) -> None:
    with pytest.raises(ValueError, match=name):
        Settings.model_validate({name: given})
