"""Clients that others wrote store here."""

import asyncio
import shutil
import warnings

from dicomweb_client.api import DICOMwebClient
from dicomweb_client.session_utils import create_session
from pydicom import Dataset, dcmread
from pydicom.filebase import DicomBytesIO

from tests.factories import ct_dataset, ct_series, multipart
from tests.fixtures.server import Server


async def client_of(server: Server) -> DICOMwebClient:
    session = create_session()
    session.trust_env = False
    session.headers["Authorization"] = f"Bearer {await server.token('store', 'read')}"
    return DICOMwebClient(server.dicomweb, session=session)


def store(client: DICOMwebClient, datasets: list[Dataset]) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pydicom and requests, about the client
        return client.store_instances(datasets)


async def test_dicomweb_client_stores_a_series_of_twenty_slices(server: Server) -> None:
    datasets = [dcmread(DicomBytesIO(data)) for data in ct_series(20)]
    client = await client_of(server)
    answer = await asyncio.to_thread(store, client, datasets)
    stored = [item.ReferencedSOPInstanceUID for item in answer.ReferencedSOPSequence]
    assert stored == [dataset.SOPInstanceUID for dataset in datasets]
    assert "FailedSOPSequence" not in answer


async def test_dicomweb_client_stores_more_than_a_megabyte_in_chunks(server: Server) -> None:
    pixels = bytes(2 * 1200 * 1200)
    dataset = dcmread(DicomBytesIO(ct_series(1, Rows=1200, Columns=1200, PixelData=pixels)[0]))
    client = await client_of(server)
    answer = await asyncio.to_thread(store, client, [dataset])
    assert len(answer.ReferencedSOPSequence) == 1


if shutil.which("curl"):  # it is everywhere but on the barest machine

    async def test_curl_stores_a_file(server: Server) -> None:
        token = await server.token("store")
        body, content_type = multipart(ct_series(2, PatientID="curl"))
        curl = await asyncio.create_subprocess_exec(
            *("curl", "--silent", "--noproxy", "*", "--write-out", "%{http_code}"),
            *(
                "--header",
                f"Authorization: Bearer {token}",
                "--header",
                f"Content-Type: {content_type}",
            ),
            *("--header", "Expect: 100-continue", "--data-binary", "@-"),
            f"{server.dicomweb}/studies",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await curl.communicate(body)
        assert output.endswith(b"}200")
        assert ct_dataset().SOPClassUID.encode() in output
