"""How two instances of one UID differ."""

from app.dicom.dataset import Problem
from app.dicom.jsonmodel import pack
from app.store.differences import MOST_NAMED, differences

NAME = {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]}
OTHER = {"vr": "PN", "Value": [{"Alphabetic": "Doe^John"}]}


def test_equal_attributes_have_no_differences() -> None:
    assert differences(pack({"00100010": NAME}), pack({"00100010": NAME})) == ()


def test_each_attribute_that_differs_is_named() -> None:
    found = differences(
        pack({"00100010": NAME, "00100020": NAME}), pack({"00100010": OTHER, "00100030": NAME})
    )
    assert found == (
        Problem("00100010", "differs from the stored instance"),
        Problem("00100020", "is in the stored instance only"),
        Problem("00100030", "is not in the stored instance"),
    )


def test_only_so_many_are_named() -> None:
    many = pack({f"0011{number:04X}": NAME for number in range(100)})
    assert len(differences(many, pack({}))) == MOST_NAMED


def test_of_long_json_nothing_is_named() -> None:
    """To compare it would hold up whoever waits for the same process."""
    text = {"vr": "UT", "Value": ["x" * 1000]}
    long = {"0040A730": {"vr": "SQ", "Value": [{"0040A160": text}] * 1100}, "00100010": NAME}
    assert differences(pack(long), pack({"00100010": OTHER})) == ()
    assert differences(pack({"00100010": OTHER}), pack(long)) == ()
