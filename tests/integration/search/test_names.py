"""Names of which a study has several: words have to come from one of them."""

from collections.abc import AsyncIterator

import pytest

from tests.factories import ct_dataset, multipart, part10
from tests.fixtures.server import Server
from tests.integration.search.conftest import Caller

MEYER, MULLER = "1.2.6.1", "1.2.6.2"
NAMES = {
    MEYER: ["Meyer^Jo", "Smith^Ann"],
    MULLER: ["Doe^Jane", "Roe^Kim", "Müller^Jörg", "Stone^Al", "Weber^Kurt"],
}


@pytest.fixture(scope="module")
async def names(searched: Server) -> AsyncIterator[Caller]:
    body, content_type = multipart(
        part10(
            ct_dataset(
                StudyInstanceUID=uid,
                SeriesInstanceUID=f"{uid}.1",
                SOPInstanceUID=f"{uid}.1.1",
                SpecificCharacterSet="ISO_IR 192",
                PatientName=several,
            )
        )
        for uid, several in NAMES.items()
    )
    async with searched.client("store", "read") as http:
        stored = await http.post("/studies", content=body, headers={"Content-Type": content_type})
        assert stored.status_code in (200, 202), stored.text
        yield Caller(http)


@pytest.mark.parametrize(
    ("words", "uids"),
    [
        ("maier jo", [MEYER]),
        ("maier ann", []),
        ("meyer ann", []),
        ("smyth ann", [MEYER]),
        ("smyth jo", []),
        ("smith", [MEYER]),
        ("miller jo", [MULLER]),
        ("miller jane", []),
        ("doe kim", []),
        ("doe roe", []),
        ("ston al", [MULLER]),
        ("veber kurt", []),
        ("web kurt", [MULLER]),
    ],
)
async def test_the_words_of_a_fuzzy_key_are_those_of_one_name(
    names: Caller, words: str, uids: list[str]
) -> None:
    assert await names.found(f"/studies?PatientName={words}&fuzzymatching=true") == uids
