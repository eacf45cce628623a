"""What is changed in a file is little, is said in it, and leaves every other byte as it came."""

import io
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
from pydicom import Dataset, dcmread
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from app.dicom.coercion import Coercions, Note, coerced, wanted
from app.dicom.dataset import DataSet
from app.dicom.encoding import encoding_of
from app.dicom.instance import read_instance
from app.dicom.part10 import read_file_meta
from app.dicom.source import BytesSource
from app.span import Span
from tests import elements
from tests.factories import ct_dataset, part10

NOTE = Note(datetime(2024, 2, 29, 10, 11, 12, tzinfo=UTC), bytes(range(32)))
BOTH = Coercions("HOSPITAL", "ISO_IR 192")
TEXT = Coercions(None, "ISO_IR 192")
SYNTAXES = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]


def plan(file: bytes, coercions: Coercions) -> dict[str, tuple[str, str | None]]:
    """What is wanted of a file: by tag the new value and the one before."""
    source = BytesSource(file)
    instance = read_instance(source)
    changes = wanted(source, *where(source), instance.dataset, coercions)
    return {f"{change.tag:08X}": (change.value, change.before) for change in changes}


def where(source: BytesSource) -> tuple[int, Any]:
    instance = read_instance(source)
    return read_file_meta(source).end, encoding_of(instance.transfer_syntax)


def changed(file: bytes, coercions: Coercions = BOTH) -> bytes:
    source = BytesSource(file)
    start, encoding = where(source)
    changes = wanted(source, start, encoding, read_instance(source).dataset, coercions)
    assert changes
    return b"".join(
        piece if isinstance(piece, bytes) else file[piece.offset : piece.end]
        for piece in coerced(source, start, encoding, changes, NOTE)
    )


def parsed(file: bytes) -> Dataset:
    return dcmread(io.BytesIO(file))


def latin(dataset: Dataset) -> Dataset:
    """With a text in UTF-8 that nothing declares."""
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = "Müller^Jürgen"
    return dataset


def undeclared(dataset: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """The file of such a data set, without its Specific Character Set."""
    file = part10(latin(dataset), syntax)
    sign: Literal["big", "little"] = "big" if syntax == ExplicitVRBigEndian else "little"
    tag = (0x0008).to_bytes(2, sign) + (0x0005).to_bytes(2, sign)
    at = file.index(tag)
    return file[:at] + file[file.index(b"ISO_IR 192", at) + 10 :]


def mislabelled(**attributes: Any) -> bytes:
    """A file whose text is Latin-1 and said to be UTF-8."""
    dataset = ct_dataset(SpecificCharacterSet="ISO_IR 100", PatientName="Müller", **attributes)
    return part10(dataset).replace(b"ISO_IR 100", b"ISO_IR 192")


def nested(number: int) -> Dataset:
    inner = Dataset()
    inner.ReferencedSOPInstanceUID = f"1.2.{number}"
    outer = Dataset()
    outer.PurposeOfReferenceCodeSequence = Sequence([inner, Dataset()])
    outer.PatientComments = "x" * number
    return outer


def full(*, open_ends: bool) -> Dataset:
    """A data set with sequences before, behind and in the places of what is changed."""
    dataset = ct_dataset(
        ReferencedImageSequence=Sequence([nested(3), nested(4)]),
        RequestAttributesSequence=Sequence([nested(5)]),
        OriginalAttributesSequence=Sequence([nested(6), nested(7)]),
        DigitalSignaturesSequence=Sequence([nested(8)]),
    )
    dataset.add_new(0x00091001, "OB", b"private!")
    dataset.add_new(0x00090010, "LO", "SOMEBODY")
    for element in dataset.iterall():
        if element.VR == "SQ":
            element.is_undefined_length = open_ends
            for item in element.value:
                item.is_undefined_length_sequence_item = open_ends
    return dataset


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("open_ends", [False, True])
def test_everything_else_stays_as_it_came(syntax: str, open_ends: bool) -> None:
    file = undeclared(full(open_ends=open_ends), syntax)
    before, now = parsed(file), parsed(changed(file))
    assert now.IssuerOfPatientID == "HOSPITAL"
    assert now.SpecificCharacterSet == "ISO_IR 192"
    assert now.PatientName == "Müller^Jürgen"
    *stayed, added = now.OriginalAttributesSequence
    assert stayed == list(before.OriginalAttributesSequence)
    for keyword in ("SpecificCharacterSet", "IssuerOfPatientID", "OriginalAttributesSequence"):
        now.pop(keyword, None)
        before.pop(keyword, None)
    now.PatientName = before.PatientName = None
    assert now == before
    assert now.file_meta == before.file_meta
    assert added.AttributeModificationDateTime == "20240229101112+0000"


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_is_added_moves_bytes_and_changes_none(syntax: str) -> None:
    file = part10(full(open_ends=True), syntax)
    source = BytesSource(file)
    start, encoding = where(source)
    changes = wanted(source, start, encoding, read_instance(source).dataset, BOTH)
    pieces = list(coerced(source, start, encoding, changes, NOTE))
    spans = [piece for piece in pieces if isinstance(piece, Span)]
    assert b"".join(file[span.offset : span.end] for span in spans) == file


def test_the_item_tells_what_was_before_who_changed_it_and_of_which_file() -> None:
    file = mislabelled(IssuerOfPatientID="")
    (item,) = parsed(changed(file, Coercions("HOSPITAL", "ISO_IR 100"))).OriginalAttributesSequence
    assert item.ModifyingSystem == "HILUM"
    assert item.SourceOfPreviousValues == ""
    assert item.ReasonForTheAttributeModification == "COERCE"
    (modified,) = item.ModifiedAttributesSequence
    assert modified[0x00100021].value == ""
    assert modified[0x00080005].value == "ISO_IR 192"
    assert item[0x04011000].value == NOTE.sha256.hex()


def test_what_is_told_in_the_answer_is_what_is_in_the_file() -> None:
    file = undeclared(ct_dataset())
    source = BytesSource(file)
    changes = wanted(source, *where(source), read_instance(source).dataset, BOTH)
    told = Dataset.from_json(NOTE.attributes(changes))
    (item,) = parsed(changed(file)).OriginalAttributesSequence
    for tag in (0x04000550, 0x04000562, 0x04000563, 0x04000564, 0x04000565):
        assert told[tag] == item[tag]


IMPLICIT_ITEM = bytes.fromhex("feff00e0 0e000000 00046305 06000000") + b"OTHER "


@pytest.mark.parametrize(
    ("vr", "value"), [("LO", b"none"), ("OB", b"none"), ("UN", b"none"), ("UN", IMPLICIT_ITEM)]
)
def test_where_no_item_can_be_added_nothing_is_changed(vr: str, value: bytes) -> None:
    originals = elements.element(0x04000561, vr, value)
    patient_id = elements.element(0x00100020, "LO", "P1")
    file = elements.instance({0x00100020: patient_id, 0x04000561: originals})
    assert plan(file, BOTH) == {}


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_group_lengths_follow(syntax: str) -> None:
    file = part10_with_lengths(ct_dataset(), syntax)
    before, now = parsed(file), parsed(changed(file, Coercions("HOSPITAL")))
    more = 8 + len("HOSPITAL")
    assert now[0x00100000].value == before[0x00100000].value + more
    assert now[0x00080000].value == before[0x00080000].value


def part10_with_lengths(dataset: Dataset, syntax: str) -> bytes:
    """As `part10`, but group lengths are written."""
    raw = part10(dataset, syntax)
    start = read_file_meta(BytesSource(raw)).end
    implicit = syntax == ImplicitVRLittleEndian
    for group, value in ((0x0008, 7), (0x0010, 100)):
        vr = b"" if implicit else b"UL\x04\0"
        length = b"\x04\0\0\0" if implicit else b""
        element = group.to_bytes(2, "little") + b"\0\0" + vr + length + value.to_bytes(4, "little")
        at = raw.index(group.to_bytes(2, "little"), start)
        raw = raw[:at] + element + raw[at:]
    return raw


@pytest.mark.parametrize(
    ("attributes", "coercions"),
    [
        ({}, Coercions()),
        ({"IssuerOfPatientID": "OTHER"}, Coercions("HOSPITAL")),
        ({"IssuerOfPatientID": "HOSPITAL"}, Coercions("HOSPITAL")),
        ({"PatientID": ""}, Coercions("HOSPITAL")),
        ({"PatientID": None}, Coercions("HOSPITAL")),
        ({}, Coercions(None, "ISO_IR 192")),
        ({"SpecificCharacterSet": "ISO_IR 100", "PatientName": "Müller"}, TEXT),
        ({"SpecificCharacterSet": "ISO_IR 192", "PatientName": "Müller"}, TEXT),
    ],
)
def test_nothing_is_changed_where_nothing_is_lacking(
    attributes: dict[str, Any], coercions: Coercions
) -> None:
    assert plan(part10(ct_dataset(**attributes)), coercions) == {}


def test_what_is_lacking_is_found() -> None:
    assert plan(part10(ct_dataset()), BOTH) == {"00100021": ("HOSPITAL", None)}
    assert plan(part10(ct_dataset(IssuerOfPatientID="")), BOTH) == {"00100021": ("HOSPITAL", "")}
    assert plan(undeclared(ct_dataset()), TEXT) == {"00080005": ("ISO_IR 192", None)}
    wanted_of_it = plan(mislabelled(), Coercions(None, "ISO_IR 100"))
    assert wanted_of_it == {"00080005": ("ISO_IR 100", "ISO_IR 192")}


def test_a_data_set_that_cannot_be_trusted_is_left_alone() -> None:
    file = part10(ct_dataset())
    study = file.index(b"\x08\x00\x20\x00DA")
    time = study + 16
    swapped = file[:study] + file[time : time + 16] + file[study:time] + file[time + 16 :]
    assert plan(swapped, BOTH) == {}
    implicit = part10(ct_dataset(), ImplicitVRLittleEndian)
    start = read_file_meta(BytesSource(implicit)).end
    explicit = part10(ct_dataset())
    against = explicit[: read_file_meta(BytesSource(explicit)).end] + implicit[start:]
    assert plan(against, BOTH) == {}


def test_a_data_set_of_which_not_all_problems_are_told_is_left_alone() -> None:
    """Here the issuer is there, out of order."""
    bad = b"".join(b"\xe1\x7f%c\x10DA\x04\x00bad!" % number for number in range(100))
    issuer = b"\x10\x00\x21\x00LO\x02\x00A "
    file = part10(ct_dataset()) + bad
    assert plan(file + issuer, BOTH) == {}


def test_a_data_set_that_ends_before_the_place_is_added_to() -> None:
    dataset = ct_dataset(PixelData=None)
    for tag in [element.tag for element in dataset if element.tag > 0x00100020]:
        if tag not in (0x0020000D, 0x0020000E):
            del dataset[tag]
    result = parsed(changed(part10(dataset), Coercions("HOSPITAL")))
    assert result.IssuerOfPatientID == "HOSPITAL"
    assert len(result.OriginalAttributesSequence) == 1
    assert isinstance(read_instance(BytesSource(part10(result))).dataset, DataSet)
