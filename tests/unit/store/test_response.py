"""What is told of each instance, and with which status."""

from dataclasses import replace

import pytest
from pydicom import Dataset

from app.dicom import nativexml, reasons
from app.dicom.dataset import Problem
from app.store.outcomes import Outcome, Refusal, Stored
from app.store.response import COMMENT_CHARACTERS, report, status_of

BASE = "http://archive/dicomweb"
STORED = Stored("1.1", "1.1.1", "1.2.840.10008.5.1.4.1.1.2", "1.1.1.1")
WARNED = Stored(
    "1.1", "1.1.1", "1.2.840.10008.5.1.4.1.1.2", "1.1.1.2", (Problem("00080020", "is no date"),)
)
REPLACING = Stored(
    "1.1", "1.1.1", "1.2.3", "1.1.1.4", replaced=3, differences=(Problem("00100010", "differs"),)
)
KEPT = Stored(
    "1.1", "1.1.1", "1.2.3", "1.1.1.5", kept=True, differences=(Problem("00100010", "differs"),)
)
REFUSED = Refusal(reasons.DUPLICATE_INSTANCE, "it is stored already", "1.2.3", "1.1.1.3")
UNREADABLE = Refusal(reasons.CANNOT_UNDERSTAND, "no DICOM file")


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ([STORED], 200),
        ([STORED, STORED], 200),
        ([WARNED], 202),
        ([STORED, WARNED], 202),
        ([REPLACING], 200),
        ([STORED, KEPT], 202),
        ([STORED, REFUSED], 202),
        ([STORED, UNREADABLE], 202),
        ([WARNED, REFUSED], 202),
        ([REFUSED], 409),
        ([UNREADABLE], 409),
        ([REFUSED, UNREADABLE], 409),
    ],
)
def test_the_status_tells_whether_all_some_or_none_are_stored(
    outcomes: list[Outcome], status: int
) -> None:
    assert status_of(outcomes) == status


def test_a_stored_instance_is_referenced_with_the_address_of_it() -> None:
    assert report([STORED], BASE) == {
        "00081190": {"vr": "UR", "Value": [f"{BASE}/studies/1.1"]},
        "00081199": {
            "vr": "SQ",
            "Value": [
                {
                    "00081150": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]},
                    "00081155": {"vr": "UI", "Value": ["1.1.1.1"]},
                    "00081190": {
                        "vr": "UR",
                        "Value": [f"{BASE}/studies/1.1/series/1.1.1/instances/1.1.1.1"],
                    },
                }
            ],
        },
    }


def test_a_warning_names_the_attribute() -> None:
    item = report([WARNED], BASE)["00081199"]["Value"][0]
    assert item["00081196"] == {"vr": "US", "Value": [0xB007]}
    assert item["00741048"] == {
        "vr": "SQ",
        "Value": [{"00000902": {"vr": "LO", "Value": ["(0008,0020) is no date"]}}],
    }


def test_an_answer_names_only_so_many_attributes() -> None:
    warned = replace(WARNED, warnings=tuple(Problem(f"{n:08X}", "wrong") for n in range(100)))
    items = report([warned] * 201 + [REFUSED], BASE)["00081199"]["Value"]
    assert [len(item["00741048"]["Value"]) for item in items[:200]] == [100] * 200
    assert "00741048" not in items[200]
    assert items[200]["00081196"] == items[0]["00081196"]


def test_what_differed_is_told_of_one_that_replaced_another() -> None:
    item = report([REPLACING], BASE)["00081199"]["Value"][0]
    assert item["00000902"]["Value"] == ["it takes the place of version 3"]
    assert item["00741048"]["Value"] == [
        {"00000902": {"vr": "LO", "Value": ["(0010,0010) differs"]}}
    ]
    assert "00081196" not in item


def test_one_that_was_passed_over_is_warned_about() -> None:
    item = report([KEPT], BASE)["00081199"]["Value"][0]
    assert item["00081196"] == {"vr": "US", "Value": [0xB006]}
    assert item["00741048"]["Value"] == [
        {"00000902": {"vr": "LO", "Value": ["(0010,0010) differs"]}}
    ]


def test_a_refused_instance_is_named_with_its_reason() -> None:
    module = report([REFUSED], BASE)
    assert module.keys() == {"00081198"}
    assert module["00081198"]["Value"] == [
        {
            "00000902": {"vr": "LO", "Value": ["it is stored already"]},
            "00081150": {"vr": "UI", "Value": ["1.2.3"]},
            "00081155": {"vr": "UI", "Value": ["1.1.1.3"]},
            "00081197": {"vr": "US", "Value": [0x0111]},
        }
    ]


def test_one_without_identity_is_among_the_other_failures() -> None:
    assert report([UNREADABLE], BASE) == {
        "0008119A": {
            "vr": "SQ",
            "Value": [
                {
                    "00000902": {"vr": "LO", "Value": ["no DICOM file"]},
                    "00081197": {"vr": "US", "Value": [0xC000]},
                }
            ],
        }
    }


def test_there_are_as_many_items_as_parts_in_their_order_also_of_duplicates() -> None:
    module = report([STORED, WARNED, STORED, REFUSED, UNREADABLE, UNREADABLE], BASE)
    uids = [item["00081155"]["Value"][0] for item in module["00081199"]["Value"]]
    assert uids == ["1.1.1.1", "1.1.1.2", "1.1.1.1"]
    assert len(module["00081198"]["Value"]) == 1
    assert len(module["0008119A"]["Value"]) == 2


def test_the_study_is_named_only_if_it_is_one() -> None:
    other = Stored("2.2", "2.2.1", "1.2.3", "2.2.1.1")
    assert "00081190" not in report([STORED, other], BASE)
    assert "00081190" not in report([REFUSED], BASE)


def test_comments_fit_their_value_representation() -> None:
    module = report([Refusal(0xC000, "x" * 100)], BASE)
    comment = module["0008119A"]["Value"][0]["00000902"]["Value"][0]
    assert len(comment) == COMMENT_CHARACTERS
    assert comment.endswith("x…")


def test_a_comment_is_one_value_whatever_it_quotes() -> None:
    quoting = Refusal(reasons.CANNOT_UNDERSTAND, "b'\\x00\\x01' is no VR")
    (item,) = Dataset.from_json(report([quoting], BASE))[0x0008119A].value
    assert item[0x00000902].VM == 1


def test_the_module_is_the_same_in_xml() -> None:
    module = report([STORED, WARNED, REFUSED, UNREADABLE], BASE)
    assert nativexml.loads(nativexml.dumps(module)) == module


def test_the_module_is_a_data_set_that_others_can_read() -> None:
    dataset = Dataset.from_json(report([STORED, WARNED, REFUSED, UNREADABLE], BASE))
    assert dataset.FailedSOPSequence[0].FailureReason == 0x0111
    assert dataset.ReferencedSOPSequence[1].WarningReason == 0xB007
    assert dataset.OtherFailuresSequence[0].FailureReason == 0xC000
