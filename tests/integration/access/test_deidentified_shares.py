"""De-identified shares: images for who is not to know whose they are, on every route alike."""

import io
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import PIL.Image
import pydicom
import pytest
from pydicom import Dataset
from pydicom.datadict import DicomDictionary
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from app.deidentified import finding
from app.dicom.deidentification import Deidentifier
from app.index.instances import metadata_of
from app.main import create_app
from app.search.paging import token_of
from app.settings import Settings
from tests import factories
from tests.fixtures.server import FixedSettings, Server, serving
from tests.integration.access.population import client_of, store
from tests.integration.access.test_matrix import MATRIX, SEGMENTS, routes_of
from tests.integration.web.conftest import records

JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
ROOT = "1.2.826.0.1.3680043.777"
STUDY, OTHER = f"{ROOT}.1", f"{ROOT}.2"
SECRETS = ("zyxwvquux", "pid4711secret", "19431107", "194311", "031415.926", ROOT)
DEIDENTIFIED = "/dicomweb/deidentified"
ACCEPTS = (
    *("*/*", "application/dicom", 'multipart/related; type="application/dicom"'),
    *("application/zip", "text/html", "application/dicom+xml", "application/dicom+json"),
    *("image/png", "image/gif", "application/octet-stream", "application/pdf"),
    'multipart/related; type="application/dicom"; transfer-syntax=*',
    'multipart/related; type="application/octet-stream"; transfer-syntax=*',
)
ANY_SYNTAX = (
    'multipart/related; type="application/dicom"; transfer-syntax=*, application/dicom+json'
)
QUERIES = (
    *("", "includefield=all", "annotation=patient,technique", "PatientName=Zyxwvquux*"),
    *("PatientID=PID4711SECRET", "orderby=StudyDate", "fuzzymatching=true&PatientName=zyxw"),
)
_IMAGE = (0x0028, 0x7FE0, 0x5200)


def seeded(series: int, number: int, **attributes: Any) -> Dataset:
    """An image that tells of its patient wherever the dictionary has a place for a text."""
    dataset = factories.ct_dataset()
    for tag, (vr, _, __, retired, ___) in DicomDictionary.items():
        if tag >> 16 in _IMAGE or tag >> 16 <= 2 or retired or tag in (0x00080005, 0x00080201):
            continue
        value = _VALUES.get(vr)
        if value is not None:
            dataset.add_new(tag, vr, value)
    dataset.SOPClassUID = factories.CT_IMAGE_STORAGE
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.Modality = "CT"
    dataset.PatientName = "Zyxwvquux^Anna=Zyxwvquux"
    dataset.PatientID = "PID4711SECRET"
    dataset.StudyInstanceUID = STUDY
    dataset.SeriesInstanceUID = f"{STUDY}.{series}"
    dataset.SOPInstanceUID = f"{STUDY}.{series}.{number}"
    dataset.SeriesNumber, dataset.InstanceNumber = series, number
    block = dataset.private_block(0x0009, "ZYXWVQUUX", create=True)
    block.add_new(1, "LO", "Zyxwvquux")
    item = Dataset()
    item.PatientName, item.ReferencedSOPInstanceUID = "Zyxwvquux^Anna", f"{STUDY}.9"
    item.TextValue = "Zyxwvquux was here"
    dataset.ReferencedImageSequence = [item]
    dataset.add_new(0x60000010, "US", 16)
    dataset.add_new(0x60000011, "US", 16)
    dataset.add_new(0x60000022, "LO", "Zyxwvquux")
    dataset.add_new(0x60000040, "CS", "G")
    dataset.add_new(0x60000050, "SS", [1, 1])
    dataset.add_new(0x60000100, "US", 1)
    dataset.add_new(0x60000102, "US", 0)
    dataset.add_new(0x60003000, "OW", b"Zyxwvquux Zyxwvquux Zyxwvquux 19")
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


_VALUES = {
    **dict.fromkeys(("LO", "LT", "SH", "ST", "UC", "UT", "AE"), "Zyxwvquux"),
    "PN": "Zyxwvquux^Anna",
    "CS": "ZYXWVQUUX",
    "DA": "19431107",
    "DT": "19431107031415.926",
    "TM": "031415.926",
    "UI": f"{ROOT}.5",
    "UR": "http://zyxwvquux",
}


def jpeg() -> bytes:
    file = io.BytesIO()
    pixels = np.arange(256, dtype="u1").reshape(16, 16)
    PIL.Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


def files() -> Iterator[bytes]:
    yield factories.part10(seeded(1, 1), ExplicitVRLittleEndian)
    yield factories.part10(seeded(1, 2), ImplicitVRLittleEndian)
    compressed = seeded(2, 1, BitsAllocated=8, BitsStored=8, HighBit=7)
    compressed.PixelData = encapsulate([jpeg()])
    compressed["PixelData"].VR = "OB"
    yield factories.part10(compressed, JPEG_BASELINE)
    # None of these can be cleaned.
    yield factories.part10(seeded(3, 1, BurnedInAnnotation="YES"))
    yield factories.part10(seeded(3, 2, SOPClassUID="1.2.840.10008.5.1.4.1.1.7"))
    yield factories.part10(seeded(3, 3), ExplicitVRBigEndian)
    report = seeded(3, 4, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11")
    del report.PixelData
    yield factories.part10(report)
    yield factories.part10(seeded(1, 1, StudyInstanceUID=OTHER, SOPInstanceUID=f"{OTHER}.1"))


SHOWN = {f"{STUDY}.1.1", f"{STUDY}.1.2", f"{STUDY}.2.1"}


@pytest.fixture(scope="module")
async def server(
    module_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Server]:
    folder: Path = tmp_path_factory.mktemp("deidentified")
    values = {"database_url": module_database_url, "data_dir": folder}
    with serving(FixedSettings.model_validate(values)) as server:
        async with client_of(server, await server.token("store")) as http:
            answer = await store(http, list(files()))
            assert answer.status_code in {200, 202}, answer.text
            assert "00081198" not in answer.json(), answer.text
        yield server


async def opened(server: Server) -> tuple[str, dict[str, Any]]:
    """A link, and what it was exchanged for."""
    async with server.client("admin") as http:
        asked = {"studies": [STUDY], "name": "Zyxwvquux", "deidentify": True}
        made = await http.post(f"{server.url}/shares", json=asked)
        assert made.status_code == 201, made.text
    link: str = made.json()["url"]
    async with httpx.AsyncClient(trust_env=False) as browser:
        told = await browser.post(link)
    assert told.status_code == 200
    assert_clean(told)
    return link, told.json()


@pytest.fixture(scope="module")
async def guest(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    _, told = await opened(server)
    headers = {"Authorization": f"Bearer {told['access_token']}"}
    async with httpx.AsyncClient(
        base_url=told["dicomweb"], headers=headers, trust_env=False, timeout=30
    ) as http:
        yield http


def assert_clean(answer: httpx.Response) -> None:
    said = [answer.content, *(value for pair in answer.headers.raw for value in pair)]
    for piece in said:
        lower = piece.lower()
        for secret in SECRETS:
            assert secret.encode() not in lower, (str(answer.request.url), secret)
            assert secret.encode("utf-16-le") not in lower


async def test_no_route_tells_in_any_form_who_it_is_of(
    server: Server, guest: httpx.AsyncClient, settings: Settings
) -> None:
    instances = (await guest.get("/instances")).json()
    assert len(instances) == len(SHOWN)
    paths = {
        path.removeprefix(DEIDENTIFIED)
        for method, path in routes_of(create_app(settings).routes)
        if path.startswith(DEIDENTIFIED)
    }
    assert len(paths) == 19
    for path in sorted(paths):
        statuses = set()
        for one in instances[1:] if "{instance}" in path else instances[1:2]:
            named = {
                "study": one["0020000D"]["Value"][0],
                "series": one["0020000E"]["Value"][0],
                "instance": one["00080018"]["Value"][0],
                "frame": "1",
                "frames": "1",
            }
            asked = [(accept, "") for accept in ACCEPTS] + [("*/*", query) for query in QUERIES]
            for accept, query in asked:
                answer = await guest.get(
                    f"{path.format(**named)}?{query}", headers={"Accept": accept}
                )
                assert answer.status_code in {200, 406}, answer.text
                assert "etag" not in answer.headers
                assert "last-modified" not in answer.headers
                assert_clean(answer)
                statuses.add(answer.status_code)
        assert 200 in statuses, path


async def test_the_pixels_are_those_that_were_stored(guest: httpx.AsyncClient) -> None:
    stored = {}
    for file in files():
        dataset = pydicom.dcmread(io.BytesIO(file))
        stored[dataset.SOPInstanceUID] = dataset.PixelData if "PixelData" in dataset else b""
    for one in (await guest.get("/instances")).json():
        path = one["00081190"]["Value"][0]
        answer = await guest.get(path, headers={"Accept": "application/dicom"})
        if answer.status_code == 406:
            accept = "application/dicom; transfer-syntax=*"
            answer = await guest.get(path, headers={"Accept": accept})
        dataset = pydicom.dcmread(io.BytesIO(answer.content))
        assert dataset.PixelData in stored.values()
        assert dataset.PatientName == ""
        assert dataset.PatientID == ""
        assert dataset.StudyDate == ""
        assert dataset.PatientIdentityRemoved == "YES"
        assert dataset.DeidentificationMethodCodeSequence[0].CodeValue == "113100"
        assert dataset.SOPInstanceUID == dataset.file_meta.MediaStorageSOPInstanceUID
        assert dataset.SOPInstanceUID == one["00080018"]["Value"][0]
        assert dataset.Rows == 16


async def test_what_was_taken_out_cannot_be_searched_for(guest: httpx.AsyncClient) -> None:
    for query in (
        *("PatientName=Zyxwvquux*", "PatientID=PID4711SECRET", "StudyDate=19431107"),
        *(f"StudyInstanceUID={STUDY}", f"SOPInstanceUID={STUDY}.1.1"),
    ):
        for level in ("studies", "series", "instances"):
            if "SOP" in query and level != "instances":
                continue
            assert (await guest.get(f"/{level}?{query}")).json() == [], query
    found = await guest.get("/studies?ModalitiesInStudy=CT")
    assert found.headers["x-total-count"] == "1"
    assert found.json()[0]["00201208"]["Value"] == [len(SHOWN)]
    assert len((await guest.get("/series?Modality=CT&limit=1&offset=1")).json()) == 1
    assert (await guest.get("/series?Modality=MR")).json() == []


async def test_a_page_of_a_search_says_what_is_left(guest: httpx.AsyncClient) -> None:
    total = int((await guest.get("/series")).headers["x-total-count"])
    first = await guest.get("/series?limit=1")
    words = f"There are {total - 1} additional results that can be requested"
    assert first.headers.get_list("warning") == [f"299 {guest.base_url}".rstrip("/") + f": {words}"]
    last = await guest.get(f"/series?limit=1000000&offset={total - 1}")
    assert len(last.json()) == 1
    (lowered,) = last.headers.get_list("warning")
    assert "limit parameter was lowered" in lowered


async def test_an_order_is_warned_of_and_a_place_in_one_refused(guest: httpx.AsyncClient) -> None:
    ordered = await guest.get("/instances?orderby=-InstanceNumber")
    assert ordered.json() == (await guest.get("/instances")).json()
    (told,) = ordered.headers.get_list("warning")
    assert "orderby parameter is not supported" in told
    refused = await guest.get("/instances", params={"after": token_of(("1.2.3",), 1)})
    assert refused.status_code == 400
    assert "no search of de-identified shares" in refused.json()["detail"]


async def test_uids_as_they_are_stored_lead_nowhere(guest: httpx.AsyncClient) -> None:
    for path in (
        *(f"/studies/{STUDY}", f"/studies/{STUDY}/metadata", f"/studies/{OTHER}"),
        f"/studies/{STUDY}/series/{STUDY}.1/instances/{STUDY}.1.1/rendered",
    ):
        assert (await guest.get(path)).status_code == 404
    study = (await guest.get("/studies")).json()[0]["0020000D"]["Value"][0]
    for path in (f"/studies/{study}/series/{STUDY}.1", f"/studies/{study}/series/1.2.3/metadata"):
        assert (await guest.get(path)).status_code == 404


async def test_overlays_are_not_drawn(server: Server, guest: httpx.AsyncClient) -> None:
    path = (await guest.get("/instances")).json()[0]["00081190"]["Value"][0]
    png = {"Accept": "image/png"}
    theirs = await guest.get(f"{path}/rendered", headers=png)
    async with client_of(server, await server.token("read")) as http:
        told = await http.get(f"/studies/{STUDY}/metadata")
        for secret in SECRETS:
            assert secret in told.text.lower()
        own = f"/studies/{STUDY}/series/{STUDY}.1/instances/{STUDY}.1.1/rendered"
        ours = await http.get(own, headers=png)
    assert theirs.status_code == ours.status_code == 200
    assert theirs.content != ours.content


async def test_a_transfer_syntax_that_only_some_have_is_refused(guest: httpx.AsyncClient) -> None:
    path = (await guest.get("/studies")).json()[0]["00081190"]["Value"][0]
    accept = 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.1'
    assert (await guest.get(path, headers={"Accept": accept})).status_code == 406


async def test_every_other_route_is_closed(server: Server, guest: httpx.AsyncClient) -> None:
    open_to_all = {"/", "/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json"}
    open_to_all |= {"/health/live", "/health/ready", "/fhir/metadata", "/share/{secret}"}
    segments = SEGMENTS | {"study": STUDY, "series": f"{STUDY}.1", "instance": f"{STUDY}.1.1"}
    for (method, path), row in MATRIX.items():
        if path in open_to_all or path.startswith(DEIDENTIFIED):
            continue
        filled = path
        for name, value in segments.items():
            filled = filled.replace(f"{{{name}}}", value)
        body = {"json": row.body} if isinstance(row.body, dict) else {"content": row.body}
        answer = await guest.request(method, f"{server.url}{filled}", **body)
        assert answer.status_code == 403, (method, path, answer.status_code)
        assert_clean(answer)


async def test_the_page_shows_images_and_no_names(server: Server) -> None:
    link, _ = await opened(server)
    html = {"Accept": "text/html,*/*;q=0.8"}
    async with httpx.AsyncClient(trust_env=False, headers=html, follow_redirects=True) as browser:
        shown = await browser.post(link)
        assert shown.status_code == 200
        looked_at, left = set(), [link]
        while left:
            address = left.pop()
            answer = await browser.get(address)
            assert answer.status_code == 200, address
            assert_clean(answer)
            looked_at.add(address)
            if "html" in answer.headers["content-type"]:
                text = answer.text.replace("&amp;", "&")
                found = [piece.split('"')[0] for piece in text.split('="')[1:]]
                for one in found:
                    at = str(httpx.URL(link).join(one)) if one[:1] in {"/", "?"} else link
                    if at not in looked_at and at not in left:
                        left.append(at)
    assert sum(DEIDENTIFIED in one and "/rendered" in one for one in looked_at) == len(SHOWN)


async def test_the_audit_knows_what_was_seen(server: Server, guest: httpx.AsyncClient) -> None:
    study = (await guest.get("/studies")).json()[0]["0020000D"]["Value"][0]
    assert (await guest.get(f"/studies/{study}/metadata")).status_code == 200
    last = (await records(server))[-1]
    assert last["study_instance_uid"] == STUDY
    assert str(last["principal"]).startswith("share ")


async def test_it_ends_when_it_is_revoked(server: Server) -> None:
    _, told = await opened(server)
    headers = {"Authorization": f"Bearer {told['access_token']}"}
    async with httpx.AsyncClient(trust_env=False, headers=headers) as http:
        address = f"{told['dicomweb']}/studies/{told['studies'][0]}/metadata"
        assert (await http.get(address)).status_code == 200
        async with server.client("admin") as admin:
            number = (await admin.get(f"{server.url}/shares")).json()[-1]["id"]
            await admin.delete(f"{server.url}/shares/{number}")
        assert (await http.get(address)).status_code == 404


@pytest.mark.parametrize(("path", "pages"), [("/metadata", 1), ("", 2), ("", 1)])
async def test_what_is_being_sent_when_it_is_revoked_does_not_end_as_if_it_were_whole(
    server: Server, monkeypatch: pytest.MonkeyPatch, path: str, pages: int
) -> None:
    """After so many pages have been read; where the answer has not begun, there is none."""
    _, told = await opened(server)
    read = 0

    async def ending_the_share(*asked: Any) -> dict[int, bytes]:
        nonlocal read
        found = await metadata_of(*asked)
        read += 1
        if read == pages:
            async with server.client("admin") as admin:
                number = (await admin.get(f"{server.url}/shares")).json()[-1]["id"]
                await admin.delete(f"{server.url}/shares/{number}")
        return found

    monkeypatch.setattr(finding, "PAGE", 1)
    monkeypatch.setattr(finding, "metadata_of", ending_the_share)
    address = f"{told['dicomweb']}/studies/{told['studies'][0]}{path}"
    headers = {"Authorization": f"Bearer {told['access_token']}", "Accept": ANY_SYNTAX}
    async with httpx.AsyncClient(trust_env=False, headers=headers) as http:
        if (path, pages) == ("", 1):
            assert (await http.get(address)).status_code == 404
            return
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
            await http.get(address)


def test_two_shares_have_no_uid_in_common() -> None:
    assert Deidentifier(b"a" * 32).uid(STUDY) != Deidentifier(b"b" * 32).uid(STUDY)
