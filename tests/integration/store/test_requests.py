"""What clients send, well and badly, and how it is answered."""

import asyncio
import threading
from typing import Any

import pytest
from pydicom.uid import generate_uid

from app.archive import Archive
from app.dicom import nativexml
from app.dicom.instance import SopInstance, read_instance
from app.dicom.source import Source
from app.settings import Settings
from tests.factories import ct_dataset, ct_series, multipart, part10
from tests.fixtures.server import Server
from tests.integration.store.conftest import Modality, blobs_of

DICOM = "application/dicom"


@pytest.fixture(scope="module")
def instance() -> bytes:
    return ct_series(1)[0]


def message(
    *parts: bytes, boundary: bytes = b"b", leading: bytes = b"", end: bytes = b"\r\n"
) -> bytes:
    body = b"".join(b"--%b\r\n%b\r\n" % (boundary, part) for part in parts)
    return leading + body + b"--%b--" % boundary + end


HEADER = b"Content-Type: application/dicom\r\n\r\n"


async def test_what_the_javascript_client_sends(modality: Modality, instance: bytes) -> None:
    guid = b"2f1b9c8e-9d3e-4f36-8b65-0d2b0d1f3c5a"
    body = message(HEADER + instance, boundary=guid, leading=b"\r\n", end=b"")
    answer = await modality.post(
        body, f'multipart/related; type="{DICOM}"; boundary="{guid.decode()}"'
    )
    assert answer.status == 200


async def test_what_the_python_client_sends(modality: Modality, instance: bytes) -> None:
    boundary = b"0f3cf5c0-70e0-41ef-baef-c6f9f65ec3e1"
    body = message(HEADER + instance, boundary=boundary, leading=b"\r\n")
    answer = await modality.post(
        body,
        f'multipart/related; type="{DICOM}"; boundary="{boundary.decode()}"',
        Host="127.0.0.1",
        Accept="application/dicom+json, application/json",
    )
    assert answer.status == 200
    assert answer.http.headers["content-type"] == "application/dicom+json"


async def test_what_orthanc_sends(modality: Modality, server: Server, instance: bytes) -> None:
    boundary = b"-".join([b"%036x" % 0, b"%036x" % 1])
    assert len(boundary) == 73
    part = b"Content-Type: application/dicom\r\nContent-Length: %d\r\n\r\n" % len(instance)
    body = message(part + instance, part + instance, boundary=boundary)
    answer = await modality.post(
        body,
        f"multipart/related; type={DICOM}; boundary={boundary.decode()}",
        Accept="application/dicom+json",
        Expect="",
    )
    assert answer.status == 200
    assert len(answer.stored) == 2
    assert not answer.module.keys() & {"00081198", "0008119A"}


async def test_what_dcm4che_sends(modality: Modality, instance: bytes) -> None:
    body = message(HEADER + instance, boundary=b"myboundary", leading=b"\r\n")
    answer = await modality.post(body, f"multipart/related; type={DICOM}; boundary=myboundary")
    assert answer.status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"a preamble\r\n--b\r\n%b\r\n--b--",
        b"--b\n%b\n--b--\n",
        b"--b\r\n%b\r\n--b--\r\nan epilogue",
    ],
)
async def test_what_others_send(modality: Modality, instance: bytes, body: bytes) -> None:
    answer = await modality.post(body % (HEADER + instance), "multipart/related; boundary=b")
    assert answer.status == 200


@pytest.mark.parametrize(
    ("accept", "given"),
    [
        ("*/*", "application/dicom+json"),
        ("application/json", "application/json"),
        ("application/dicom+xml", "application/dicom+xml"),
        ("application/dicom+xml, application/dicom+json;q=0.9", "application/dicom+xml"),
        ("application/dicom+json, application/json", "application/dicom+json"),
        ("text/html, application/dicom+json;q=0.1", "application/dicom+json"),
        ("text/html, image/gif, image/jpeg, */*; q=0.2", "application/dicom+json"),
    ],
)
async def test_the_answer_comes_as_it_is_accepted(
    modality: Modality, instance: bytes, accept: str, given: str
) -> None:
    answer = await modality.store(instance, Accept=accept)
    assert answer.status == 200
    assert answer.http.headers["content-type"] == given


async def test_the_answer_as_xml_tells_the_same(modality: Modality, instance: bytes) -> None:
    # As Weasis and the tools of dcm4che ask for it.
    xml = (await modality.store(instance, b"none", Accept="application/dicom+xml")).http
    json = (await modality.store(instance, b"none", Accept="application/dicom+json")).http
    assert xml.status_code == json.status_code == 202
    assert nativexml.loads(xml.content) == json.json()


@pytest.mark.parametrize("accept", ["text/html", "application/dicom+json;q=0", "image/*"])
async def test_an_answer_that_is_not_accepted_stores_nothing(
    modality: Modality, archive: Archive, instance: bytes, accept: str
) -> None:
    assert (await modality.store(instance, Accept=accept)).status == 406
    assert await blobs_of(archive) == {}


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        (None, 415),
        ("application/json", 415),
        ("text/plain", 415),
        ('multipart/related; type="application/pdf"; boundary=b', 415),
        ("multipart/form-data; boundary=b", 415),
        ('multipart/related; type="application/dicom"', 400),
        ("nonsense", 400),
    ],
)
async def test_a_body_of_another_type_is_refused(
    modality: Modality, archive: Archive, instance: bytes, content_type: str | None, status: int
) -> None:
    answer = await modality.post(message(HEADER + instance), content_type)
    assert answer.status == status
    assert answer.http.headers["content-type"] == "application/problem+json"
    assert await blobs_of(archive) == {}


@pytest.mark.parametrize("body", [b"", b"--b--\r\n", b"nothing that is one", b"--b\r\nx\r\n\r\n"])
async def test_a_message_that_is_none_is_a_bad_request(modality: Modality, body: bytes) -> None:
    assert (await modality.post(body, "multipart/related; boundary=b")).status == 400


async def test_no_body_at_all_is_a_bad_request(modality: Modality) -> None:
    assert (await modality.post(b"", DICOM)).status == 400


async def test_a_compressed_body_is_refused(modality: Modality, instance: bytes) -> None:
    body, content_type = multipart([instance])
    answer = await modality.post(body, content_type, **{"Content-Encoding": "gzip"})
    assert answer.status == 415


@pytest.mark.parametrize("study", ["1.2.x", "1..2", "a" * 65, "%2e%2e", "1.2%00"])
async def test_a_study_that_is_no_uid_is_a_bad_request(
    modality: Modality, instance: bytes, study: str
) -> None:
    assert (await modality.store(instance, study=study)).status == 400


async def test_a_message_without_its_last_delimiter_keeps_what_is_whole(
    modality: Modality, archive: Archive
) -> None:
    one, two = ct_series(2)
    body = message(HEADER + one, HEADER + two)
    answer = await modality.post(
        body.removesuffix(b"\r\n--b--\r\n"), "multipart/related; boundary=b"
    )
    assert answer.status == 202
    assert len(answer.stored) == 1
    assert [reason for _, reason in answer.failed] == [0xC000]
    assert len(await blobs_of(archive)) == 1


def bad_instances() -> dict[str, tuple[bytes, int]]:
    """Instances that cannot be kept, and the reason that is given."""
    good = part10(ct_dataset())
    start = good.index(b"\x08\x00\x16\x00UI")
    return {
        "nothing": (b"", 0xC000),
        "two bytes": (b"\x00\x01", 0xC000),
        "a page": (b"<html></html>", 0xC000),
        "an image": (b"\xff\xd8\xff\xe0" + bytes(500), 0xC000),
        "a prefix": (bytes(128) + b"DICM", 0xC000),
        "only a header": (good[:start], 0x0120),
        "no header": (good[start:], 0xC000),
        "cut in the pixels": (good[:-1], 0xC000),
        "cut in the middle": (good[: len(good) // 2], 0xC000),
        "a length beyond the end": (good.replace(b"LO\x06\x00Thorax", b"LO\x06\x70Thorax"), 0xC000),
        "no study": (part10(ct_dataset(StudyInstanceUID=None)), 0x0120),
        "no series": (part10(ct_dataset(SeriesInstanceUID=None)), 0x0120),
        "an empty study": (part10(ct_dataset(StudyInstanceUID="")), 0x0121),
        "an unknown syntax": (
            good.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.9.9.9\0"),
            0xC122,
        ),
        "an attribute twice": (
            good.replace(ID := b"\x08\x00\x16\x00UI\x1a\x001.2.840.10008.5.1.4.1.1.2\0", ID * 2),
            0xA900,
        ),
        "a uid that is none": (
            part10(ct_dataset(StudyInstanceUID="1.2.3456789")).replace(
                b"1.2.3456789\0", b"../../../x\0\0"
            ),
            0x0106,
        ),
    }


@pytest.mark.parametrize("name", bad_instances())
async def test_an_instance_that_cannot_be_kept_is_refused_and_harms_no_other(
    modality: Modality, archive: Archive, name: str, instance: bytes
) -> None:
    bad, reason = bad_instances()[name]
    if bad:
        alone = await modality.post(bad, DICOM)
        assert alone.status == 409
    alone = await modality.store(bad)
    assert alone.status == 409
    assert [given for _, given in alone.failed] == [reason]
    assert await blobs_of(archive) == {}
    among_others = await modality.store(bad, instance, bad)
    assert among_others.status == 202
    assert len(among_others.stored) == 1
    assert [given for _, given in among_others.failed] == [reason, reason]
    assert len(await blobs_of(archive)) == 1


@pytest.mark.parametrize(
    "text", ["<script>", "';--", "\x1b[31m", "=cmd()", "a" * 5000, "\\" * 100, "ä", "\u202e"]
)
async def test_whatever_a_text_holds_it_is_stored(modality: Modality, text: str) -> None:
    dataset = ct_dataset(SpecificCharacterSet="ISO_IR 192")
    encoded = text.encode()
    encoded += b" " * (len(encoded) % 2)
    data = part10(dataset)
    for value in (b"LO\x06\x00Thorax", b"PN\x08\x00Doe^Jane"):
        data = data.replace(value, value[:2] + len(encoded).to_bytes(2, "little") + encoded)
    answer = await modality.store(data)
    assert answer.status in {200, 202}
    assert answer.stored == [dataset.SOPInstanceUID]


async def test_a_nul_in_a_text_is_no_trouble(modality: Modality) -> None:
    dataset = ct_dataset()
    answer = await modality.store(part10(dataset).replace(b"Thorax", b"Th\0rax"))
    assert answer.stored == [dataset.SOPInstanceUID]


async def test_an_address_with_a_study_is_answered_with_that_study(
    modality: Modality, server: Server
) -> None:
    study = generate_uid()
    answer = await modality.store(part10(ct_dataset(StudyInstanceUID=study)), study=study)
    assert answer.module["00081190"]["Value"] == [f"{server.dicomweb}/studies/{study}"]


async def test_all_of_several_accept_headers_count(modality: Modality) -> None:
    body, content_type = multipart([part10(ct_dataset())])
    headers = [
        ("Content-Type", content_type),
        ("Accept", "text/html"),
        ("Accept", "application/dicom+xml"),
    ]
    answer = await modality.http.post("/studies", content=body, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/dicom+xml")


async def test_instances_that_take_long_to_walk_hold_up_no_other(
    modality: Modality, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_end = threading.Semaphore(0), threading.Event()
    large = part10(ct_dataset(PixelData=bytes(2 * 1024 * 1024)))

    def walk(source: Source, *more: Any) -> SopInstance:
        if source.size >= len(large):
            begun.release()
            may_end.wait(60)
        return read_instance(source, *more)

    monkeypatch.setattr("app.store.intake.read_instance", walk)
    most = settings.limits.concurrent_stores - 1
    others = [asyncio.create_task(modality.store(large)) for _ in range(most)]
    try:
        for _ in others:
            assert await asyncio.to_thread(begun.acquire, timeout=20)
        assert (await modality.store(part10(ct_dataset()))).status == 200
    finally:
        may_end.set()
        answers = await asyncio.gather(*others)
    assert {answer.status for answer in answers} == {200}
