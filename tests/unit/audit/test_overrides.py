"""What was seen through an emergency override is told by whom a page of results shows."""

from dataclasses import replace

import pytest

from app.audit.overrides import through
from app.index.overrides import Override
from tests.unit.audit.test_chain import RECORD

LISTED = [{"id": "P1", "issuer": ""}, {"id": "P2", "issuer": "A"}]
SEARCH = replace(RECORD, event="110112", action="E", path="/studies", study_instance_uid=None)


@pytest.mark.parametrize(
    ("patient_id", "issuer", "covers"),
    [
        ("P1", None, True),
        ("P1", "A", False),
        ("P2", None, True),
        ("P2", "A", True),
        ("P2", "B", False),
        ("P3", None, False),
    ],
)
def test_a_page_is_seen_through_what_was_opened_of_somebody_on_it(
    patient_id: str, issuer: str | None, covers: bool
) -> None:
    override = Override(17, None, patient_id, issuer)
    told = through(replace(SEARCH, patients=LISTED), [override])
    assert told.override == (17 if covers else None)


def test_a_page_without_anybody_is_covered_by_whatever_is_open() -> None:
    assert through(SEARCH, [Override(17, None, "P1", None)]).override == 17
