"""Reports, documents and videos over HTTP, as what they are and locked up."""

from typing import Any

import httpx
import pytest
from pydicom.encaps import encapsulate

from app.retrieve import rendered_objects
from tests.acceptance.retrieve.conftest import store
from tests.factories import ct_dataset, part10
from tests.messages import parts_of
from tests.unit.dicom.reports import content, report

MPEG4 = "1.2.840.10008.1.2.4.102"
MPEG2 = "1.2.840.10008.1.2.4.100"
ENCAPSULATED = "1.2.840.10008.5.1.4.1.1.104."
PDF = b"%PDF-1.7\n" + bytes(range(256)) * 20 + b"%%EOF\n!"  # odd, so that it is padded


def document(kind: int, data: bytes, **attributes: Any) -> bytes:
    return part10(
        ct_dataset(
            SOPClassUID=f"{ENCAPSULATED}{kind}",
            PixelData=None,
            EncapsulatedDocument=data + b"\0" * (len(data) % 2),
            EncapsulatedDocumentLength=len(data),
            **{"MIMETypeOfEncapsulatedDocument": "text/html"} | attributes,
        )
    )


def video(*fragments: bytes, transfer_syntax_uid: str = MPEG4, frames: int = 250) -> bytes:
    dataset = ct_dataset(
        NumberOfFrames=frames, BitsAllocated=8, BitsStored=8, HighBit=7, SamplesPerPixel=3
    )
    dataset.PhotometricInterpretation = "YBR_PARTIAL_420"
    dataset.PixelData = encapsulate(list(fragments))
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return part10(dataset, transfer_syntax_uid)


async def test_a_report_is_a_page_that_loads_and_runs_nothing(viewer: httpx.AsyncClient) -> None:
    (path,) = await store(viewer, report(content("TEXT", "Finding", TextValue="<b>none")))
    answer = await viewer.get(f"{path}/rendered")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "&lt;b&gt;none" in answer.text
    policy = answer.headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "sandbox"} <= set(policy)
    assert answer.headers["x-content-type-options"] == "nosniff"
    plain = await viewer.get(f"{path}/rendered", headers={"Accept": "text/plain"})
    assert plain.headers["content-type"].startswith("text/plain")
    assert "Finding: <b>none" in plain.text
    known = {"If-None-Match": answer.headers["etag"]}
    assert (await viewer.get(f"{path}/rendered", headers=known)).status_code == 304
    assert (await viewer.get(f"{path}/rendered?accept=text/xml", headers=known)).status_code == 200


async def test_a_report_is_written_down_up_to_a_length(
    viewer: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = report(content("TEXT", "Finding", TextValue="none"))
    (path,) = await store(viewer, file)
    for longest, status in ((len(file) + 1, 200), (len(file), 200), (len(file) - 1, 413)):
        monkeypatch.setattr(rendered_objects, "LONGEST_REPORT", longest)
        assert (await viewer.get(f"{path}/rendered")).status_code == status


@pytest.mark.parametrize("data", [PDF, b"%PDF-1.4 tiny!!"])
async def test_a_document_is_saved_and_never_opened(viewer: httpx.AsyncClient, data: bytes) -> None:
    (path,) = await store(viewer, document(1, data))
    answer = await viewer.get(f"{path}/rendered")
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.content == data
    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    assert answer.headers["content-disposition"].endswith('.pdf"')
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    known = {"If-None-Match": answer.headers["etag"]}
    assert (await viewer.get(f"{path}/rendered", headers=known)).status_code == 304


async def test_head_knows_no_ranges(viewer: httpx.AsyncClient) -> None:
    """RFC 9110 14.2: of GET alone."""
    (path,) = await store(viewer, document(1, PDF))
    for some in ("bytes=-6", f"bytes={len(PDF)}-"):
        answer = await viewer.head(f"{path}/rendered", headers={"Range": some})
        assert answer.status_code == 200
        assert answer.headers["content-length"] == str(len(PDF))
        assert "content-range" not in answer.headers


async def test_a_document_can_be_had_in_ranges(viewer: httpx.AsyncClient) -> None:
    (path,) = await store(viewer, document(1, PDF))
    answer = await viewer.get(f"{path}/rendered", headers={"Range": "bytes=-6"})
    assert answer.status_code == 206
    assert answer.content == PDF[-6:]
    assert answer.headers["content-range"] == f"bytes {len(PDF) - 6}-{len(PDF) - 1}/{len(PDF)}"
    assert "sandbox" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("kind", "media_type"), [(2, "text/xml"), (3, "model/stl"), (4, "model/obj"), (5, "model/mtl")]
)
async def test_the_sop_class_says_what_a_document_is(
    viewer: httpx.AsyncClient, kind: int, media_type: str
) -> None:
    (path,) = await store(viewer, document(kind, b"<script>alert(1)</script>" * 100))
    answer = await viewer.get(f"{path}/rendered")
    assert answer.headers["content-type"] == media_type
    assert answer.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize(("syntax", "media_type"), [(MPEG4, "video/mp4"), (MPEG2, "video/mpeg")])
async def test_a_video_is_sent_as_it_lies_and_in_ranges(
    viewer: httpx.AsyncClient, syntax: str, media_type: str
) -> None:
    stream = bytes(range(256)) * 8192  # 2 MiB
    (path,) = await store(viewer, video(stream, transfer_syntax_uid=syntax))
    whole = await viewer.get(f"{path}/rendered")
    assert whole.headers["content-type"] == media_type
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.content == stream
    some = {"Range": "bytes=1000000-1000009"}
    part = await viewer.get(f"{path}/rendered", headers=some)
    assert part.status_code == 206
    assert part.content == stream[1000000:1000010]
    beyond = await viewer.get(f"{path}/rendered", headers={"Range": "bytes=2097152-"})
    assert beyond.status_code == 416


async def test_the_fragments_of_a_video_are_joined(viewer: httpx.AsyncClient) -> None:
    (path,) = await store(viewer, video(b"first " * 3, b"second", b"third!"))
    answer = await viewer.get(f"{path}/rendered")
    assert answer.content == b"first first first secondthird!"


@pytest.mark.parametrize("frames", [1, 3, 250])
@pytest.mark.parametrize("accept", ["video/mp4", "*/*", "application/octet-stream"])
async def test_the_pixel_data_of_a_video_are_one_value(
    viewer: httpx.AsyncClient, frames: int, accept: str
) -> None:
    """Of however many fragments it is stored, and however many frames are in its stream."""
    (path,) = await store(viewer, video(b"first " * 3, b"second", b"third!", frames=frames))
    (attributes,) = (await viewer.get(f"{path}/metadata")).json()
    uri = attributes["7FE00010"]["BulkDataURI"]
    stream = b"first first first secondthird!"
    for url in (uri, f"{path}/frames/1"):
        answer = await viewer.get(url, headers={"Accept": accept})
        assert answer.status_code == 200, answer.text
        value = answer.content if len(answer.content) == len(stream) else parts_of(answer)[0]
        assert value == stream
        assert f"transfer-syntax={MPEG4}" in answer.headers["content-type"] + answer.text
    for url in (f"{path}/pixeldata", f"{path}/bulkdata"):
        assert parts_of(await viewer.get(url)) == [stream]


@pytest.mark.parametrize("frames", [1, 250])
async def test_a_video_has_no_images_to_show(viewer: httpx.AsyncClient, frames: int) -> None:
    (path,) = await store(viewer, video(b"stream", frames=frames))
    for place in ("thumbnail", "frames/1/rendered", "frames/1/thumbnail"):
        answer = await viewer.get(f"{path}/{place}")
        assert answer.status_code == 404
        assert "it is a video" in answer.json()["detail"]


async def test_a_kind_of_object_is_not_sent_as_one_of_another_kind(
    viewer: httpx.AsyncClient,
) -> None:
    instances = [report(), document(1, PDF), video(b"mpeg"), part10(ct_dataset())]
    for path, wrong in zip(
        await store(viewer, *instances),
        ("image/jpeg", "text/html", "image/png", "application/pdf"),
        strict=True,
    ):
        answer = await viewer.get(f"{path}/rendered", headers={"Accept": wrong})
        assert answer.status_code == 406
        assert "rendered as" in answer.json()["detail"]


async def test_what_has_nothing_to_look_at_is_not_acceptable(viewer: httpx.AsyncClient) -> None:
    (path,) = await store(viewer, part10(ct_dataset(PixelData=None)))
    answer = await viewer.get(f"{path}/rendered")
    assert answer.status_code == 406
    (empty,) = await store(viewer, document(1, b""))
    assert (await viewer.get(f"{empty}/rendered")).status_code == 422


async def test_the_uri_service_shows_them_too(viewer: httpx.AsyncClient) -> None:
    (path, pdf) = await store(viewer, report(title="A title"), document(1, PDF))

    def parameters(path: str) -> dict[str, str]:
        _, study, _, series, _, instance = path.removeprefix("/").split("/")
        uids = {"studyUID": study, "seriesUID": series, "objectUID": instance}
        return {"requestType": "WADO"} | uids

    wado = httpx.URL(str(viewer.base_url)).join("/wado")
    page = await viewer.get(wado, params=parameters(path))
    assert page.headers["content-type"].startswith("text/html")
    assert "A title" in page.text
    assert (await viewer.get(wado, params=parameters(pdf))).content == PDF
