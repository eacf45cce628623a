"""A served archive with three studies of two patients, which the tests of a module only read."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from app.upkeep import indexing
from tests.factories import ct_dataset, multipart, part10
from tests.fixtures.server import FixedSettings, Server, serving

MR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.4"
NEWEST, MIDDLE, OLDEST = "1.2.3.1", "1.2.3.2", "1.2.3.3"
"""The studies, by their dates."""


def request(step: str, procedure: str) -> Dataset:
    """An item of Request Attributes Sequence."""
    item = Dataset()
    item.ScheduledProcedureStepID = step
    item.RequestedProcedureID = procedure
    return item


def _instances() -> Iterator[Dataset]:
    doe = {"PatientName": "Doe^Jane", "PatientID": "PID-1"}
    mueller = {"PatientName": "Müller^Jörg^Karl", "PatientID": "PID-2", "PatientSex": "M"}
    newest = {"StudyInstanceUID": NEWEST, "StudyDate": "20240301", "StudyTime": "1000"} | doe
    for number in (2, 1, 10):
        yield ct_dataset(
            **newest,
            SeriesInstanceUID=f"{NEWEST}.1",
            SOPInstanceUID=f"{NEWEST}.1.{number}",
            AccessionNumber="ACC-1",
            InstanceNumber=number,
            RequestAttributesSequence=Sequence([request("S1", "P1"), request("S2", "P2")]),
            PerformedProcedureStepStartDate="20240301",
            PerformedProcedureStepStartTime="100500",
        )
    yield ct_dataset(
        **newest,
        SeriesInstanceUID=f"{NEWEST}.2",
        SOPInstanceUID=f"{NEWEST}.2.1",
        SOPClassUID=UID(MR_IMAGE_STORAGE),
        AccessionNumber="ACC-1",
        Modality="MR",
        SeriesNumber=2,
        SeriesDescription="T1 50%_off",
        NumberOfFrames=1,
        SpecificCharacterSet="ISO_IR 192",
    )
    yield ct_dataset(
        StudyInstanceUID=MIDDLE,
        SeriesInstanceUID=f"{MIDDLE}.1",
        SOPInstanceUID=f"{MIDDLE}.1.1",
        StudyDate="20230615",
        StudyTime="235959.25",
        AccessionNumber="ACC-2",
        SpecificCharacterSet="ISO_IR 192",
        StudyDescription="Schädel",
        TimezoneOffsetFromUTC="+0100",
        **mueller,
    )
    yield ct_dataset(
        StudyInstanceUID=OLDEST,
        SeriesInstanceUID=f"{OLDEST}.1",
        SOPInstanceUID=f"{OLDEST}.1.1",
        StudyDate="19991231",
        StudyTime="0800",
        AccessionNumber=None,
        ReferringPhysicianName="",
        StudyID="",
        StudyDescription="",
        SeriesDescription="",
        **doe,
    )


@dataclass(frozen=True)
class Caller:
    """Someone who searches."""

    http: httpx.AsyncClient

    async def get(self, path: str, **headers: str) -> httpx.Response:
        """The answer to a search, whatever it is."""
        return await self.http.get(path, headers=headers)

    async def search(self, path: str) -> list[dict[str, Any]]:
        """The results of a search that is answered."""
        answer = await self.get(path)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/dicom+json"
        results: list[dict[str, Any]] = answer.json()
        return results

    async def found(self, path: str) -> list[str]:
        """The UIDs of what is found, those of the level that is searched for."""
        level = path.partition("?")[0].rpartition("/")[2]
        tag = {"studies": "0020000D", "series": "0020000E", "instances": "00080018"}[level]
        return [value(result, tag) for result in await self.search(path)]


def value(result: dict[str, Any], tag: str) -> Any:
    """The only value of an attribute of a result."""
    (only,) = result[tag]["Value"]
    return only


@pytest.fixture(scope="module")
def no_indexing() -> Iterator[None]:
    """The server does not index while the tests run."""
    seconds = indexing.SECONDS_BETWEEN_LOOKS
    indexing.SECONDS_BETWEEN_LOOKS = 10_000
    yield
    indexing.SECONDS_BETWEEN_LOOKS = seconds


@pytest.fixture(scope="module")
def searched(
    module_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """The archive, for all tests of a module."""
    folder: Path = tmp_path_factory.mktemp("searched")
    values = {"database_url": module_database_url, "data_dir": folder}
    with serving(FixedSettings.model_validate(values)) as server:
        yield server


@pytest.fixture(scope="module")
async def caller(searched: Server) -> AsyncIterator[Caller]:
    """Someone who may read it, after all has been stored."""
    body, content_type = multipart(part10(dataset) for dataset in _instances())
    async with searched.client("store", "read") as http:
        stored = await http.post("/studies", content=body, headers={"Content-Type": content_type})
        assert stored.status_code == 200, stored.text
        yield Caller(http)
