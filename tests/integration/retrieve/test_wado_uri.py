"""The URI Service, over HTTP: one instance by the parameters of one address."""

import httpx
import imagecodecs
import numpy as np
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from app.index.database import Database
from tests.acceptance.retrieve.conftest import store
from tests.factories import ct_dataset, part10
from tests.fixtures.server import Server
from tests.integration.retrieve.test_rendered import frame_values, multiframe, written

OHIF = {"Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax=*'}


def address(viewer: httpx.AsyncClient, path: str, **parameters: str) -> httpx.URL:
    """The address of what has this path below the DICOMweb base."""
    _, _, study, _, series, _, instance = path.split("/")
    uids = {"studyUID": study, "seriesUID": series, "objectUID": instance}
    root = viewer.base_url.copy_with(path="/wado")
    return root.copy_with(params={"requestType": "WADO"} | uids | parameters)


async def test_an_image_is_a_jpeg_unless_asked_for_otherwise(viewer: httpx.AsyncClient) -> None:
    (path,) = await store(viewer, part10(ct_dataset()))
    for headers in ({}, {"Accept": "image/webp,*/*;q=0.8"}, OHIF):
        answer = await viewer.get(address(viewer, path), headers=headers)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "image/jpeg"
        assert imagecodecs.imread(answer.content).shape == (16, 16)
    known = {"If-None-Match": answer.headers["etag"]}
    assert (await viewer.get(address(viewer, path), headers=known)).status_code == 304
    assert (await viewer.head(address(viewer, path))).headers["content-type"] == "image/jpeg"


async def test_every_parameter_of_an_image_is_heeded(viewer: httpx.AsyncClient) -> None:
    (path,) = await store(viewer, written(multiframe(), ExplicitVRLittleEndian))
    png = {"contentType": "image/png"}
    second = await viewer.get(address(viewer, path, frameNumber="2", **png))
    assert np.array_equal(imagecodecs.imread(second.content), frame_values(2))
    dark = await viewer.get(address(viewer, path, windowCenter="1000", windowWidth="10", **png))
    assert not imagecodecs.imread(dark.content).any()
    right = await viewer.get(address(viewer, path, region="0.571,0,1,0.6", **png))
    assert np.array_equal(imagecodecs.imread(right.content), frame_values(1)[:3, 4:])
    small = await viewer.get(address(viewer, path, rows="3", **png))
    assert imagecodecs.imread(small.content).shape == (3, 4)
    assert (await viewer.get(address(viewer, path, frameNumber="4"))).status_code == 404


@pytest.mark.parametrize("transfer_syntax", [None, "*", ExplicitVRLittleEndian])
async def test_the_object_comes_by_itself_whatever_accept_says(
    viewer: httpx.AsyncClient, transfer_syntax: str | None
) -> None:
    stored = part10(ct_dataset(), ImplicitVRLittleEndian)
    (path,) = await store(viewer, stored)
    parameters = {"contentType": "application/dicom"}
    if transfer_syntax:
        parameters["transferSyntax"] = transfer_syntax
    answer = await viewer.get(address(viewer, path, **parameters), headers=OHIF)
    assert answer.status_code == 200
    assert answer.content[128:132] == b"DICM"
    assert (answer.content == stored) == (transfer_syntax == "*")
    expected = ImplicitVRLittleEndian if transfer_syntax == "*" else ExplicitVRLittleEndian
    assert answer.headers["content-type"] == f"application/dicom; transfer-syntax={expected}"


async def test_a_stored_object_can_be_had_in_ranges(viewer: httpx.AsyncClient) -> None:
    stored = part10(ct_dataset())
    (path,) = await store(viewer, stored)
    parameters = {"contentType": "application/dicom", "transferSyntax": "*"}
    answer = await viewer.get(address(viewer, path, **parameters), headers={"Range": "bytes=9-99"})
    assert answer.status_code == 206
    assert answer.content == stored[9:100]


async def test_the_three_uids_must_belong_together(viewer: httpx.AsyncClient) -> None:
    one, other = await store(viewer, part10(ct_dataset()), part10(ct_dataset()))
    for name in ("studyUID", "seriesUID", "objectUID"):
        mixed = address(viewer, one).copy_set_param(name, address(viewer, other).params[name])
        assert (await viewer.get(mixed)).status_code == 404


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("", "requestType"),
        ("requestType=WADO&studyUID=1.2&seriesUID=1.3", "objectUID"),
        ("requestType=WADO&studyUID=1.2&seriesUID=1.3&objectUID=a", "objectUID"),
        ("requestType=WADO&studyUID=1.2&seriesUID=1.3&objectUID=1.4&rows=0", "rows"),
        ("requestType=WADO&studyUID=1.2&seriesUID=1.3&objectUID=1.4&anonymize=yes", "anonymize"),
        ("requestType=WADO&studyUID=1.2&studyUID=1.3&seriesUID=1.3&objectUID=1.4", "studyUID"),
    ],
)
async def test_what_is_wrong_is_named(viewer: httpx.AsyncClient, query: str, name: str) -> None:
    answer = await viewer.get(viewer.base_url.copy_with(path="/wado", query=query.encode()))
    assert answer.status_code == 400
    assert answer.json()["parameter"] == name


async def test_what_cannot_be_made_is_not_acceptable(viewer: httpx.AsyncClient) -> None:
    (path,) = await store(viewer, part10(ct_dataset()))
    for parameters in (
        {"contentType": "text/html"},
        {"contentType": "application/dicom", "transferSyntax": "1.2.840.10008.1.2.4.50"},
    ):
        answer = await viewer.get(address(viewer, path, **parameters))
        assert answer.status_code == 406


async def test_nobody_sees_anything_without_the_right_token(
    shared_server: Server, viewer: httpx.AsyncClient
) -> None:
    (path,) = await store(viewer, part10(ct_dataset()))
    url = address(viewer, path)
    async with httpx.AsyncClient(trust_env=False) as nobody:
        assert (await nobody.get(url)).status_code == 401
    async with shared_server.client("store") as storer:
        assert (await storer.get(url)).status_code == 403
    other = await shared_server.token("read", partition="elsewhere")
    async with httpx.AsyncClient(trust_env=False) as elsewhere:
        headers = {"Authorization": f"Bearer {other}"}
        assert (await elsewhere.get(url, headers=headers)).status_code == 404


async def test_the_audit_says_what_was_read(
    shared_server: Server, viewer: httpx.AsyncClient
) -> None:
    (path,) = await store(viewer, part10(ct_dataset()))
    url = address(viewer, path, contentType="image/png")
    await viewer.get(url)
    index = await Database.open(shared_server.database_url, connections=1, statement_seconds=30)
    async with index.reading() as connection:
        row = await connection.fetchrow(
            "SELECT event, action, query, sop_instance_uid, series_instance_uid,"
            " study_instance_uid FROM audit WHERE path = '/wado' ORDER BY sequence DESC LIMIT 1"
        )
    await index.close()
    assert (row["event"], row["action"]) == ("110104", "R")
    assert row["sop_instance_uid"] == url.params["objectUID"]
    assert row["series_instance_uid"] == url.params["seriesUID"]
    assert row["study_instance_uid"] == url.params["studyUID"]
    assert "contentType=image/png" in row["query"].replace("%2F", "/")
