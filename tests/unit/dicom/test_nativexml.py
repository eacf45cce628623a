"""Data sets as XML, written and read; and XML that nobody should trust."""

import contextlib
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dicom.dataset import Unreadable
from app.dicom.nativexml import NAMESPACE, dumps, loads
from tests.unit.dicom.models import DATA_SETS, Attributes

EXAMPLE: Attributes = {
    "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]},
    "00080060": {"vr": "CS", "Value": ["CT"]},
    "00081030": {"vr": "LO", "Value": ["<Thorax> & \r\n", None, "b"]},
    "00090010": {"vr": "LO", "Value": ['ACME "1"']},
    "00091002": {"vr": "UN", "InlineBinary": "AAEC"},
    "00100010": {
        "vr": "PN",
        "Value": [{"Alphabetic": "Doe^Jane^^Dr.", "Ideographic": "山田^太郎"}, None],
    },
    "00100020": {"vr": "LO"},
    "00280010": {"vr": "US", "Value": [512]},
    "00400275": {"vr": "SQ", "Value": [{"00400009": {"vr": "SH", "Value": ["A"]}}, {}]},
    "00420011": {"vr": "OB", "BulkDataURI": "http://a/b?c&d"},
}


def wrapped(inside: str) -> bytes:
    return f"<NativeDicomModel>{inside}</NativeDicomModel>".encode()


def element(vr: str, inside: str, tag: str = "00710010") -> bytes:
    return wrapped(f'<DicomAttribute tag="{tag}" vr="{vr}">{inside}</DicomAttribute>')


def decimals_as_texts(attributes: Attributes) -> Attributes:
    """What is read again: decimal texts are what they were in the document."""

    def converted(found: dict[str, Any]) -> dict[str, Any]:
        match found:
            case {"vr": "SQ", "Value": items}:
                return {"vr": "SQ", "Value": [decimals_as_texts(item) for item in items]}
            case {"vr": "DS" | "IS" as vr, "Value": values}:
                return {"vr": vr, "Value": [None if v is None else str(v) for v in values]}
        return found

    return {tag: converted(found) for tag, found in attributes.items()}


def test_a_data_set_is_written_as_the_standard_shows_it() -> None:
    root = ET.fromstring(dumps(EXAMPLE))
    spaced = f"{{{NAMESPACE}}}"
    assert root.tag == f"{spaced}NativeDicomModel"
    by_tag = {child.attrib["tag"]: child for child in root}
    assert list(by_tag) == [tag.replace("00091002", "00090002") for tag in EXAMPLE]
    modality = by_tag["00080060"]
    assert modality.attrib == {"tag": "00080060", "vr": "CS", "keyword": "Modality"}
    assert [(v.attrib, v.text) for v in modality] == [({"number": "1"}, "CT")]
    assert by_tag["00090002"].attrib["privateCreator"] == 'ACME "1"'
    assert [v.text for v in by_tag["00081030"]] == ["<Thorax> & \r\n", None, "b"]
    assert len(by_tag["00100020"]) == 0
    first, second = by_tag["00100010"]
    assert [group.tag for group in first] == [f"{spaced}Alphabetic", f"{spaced}Ideographic"]
    assert {c.tag.removeprefix(spaced): c.text for c in first[0]} == {
        "FamilyName": "Doe",
        "GivenName": "Jane",
        "MiddleName": None,
        "NamePrefix": "Dr.",
    }
    assert len(second) == 0
    one, two = by_tag["00400275"]
    assert one[0].attrib["keyword"] == "ScheduledProcedureStepID"
    assert (one.attrib, two.attrib, len(two)) == ({"number": "1"}, {"number": "2"}, 0)
    assert by_tag["00420011"][0].attrib == {"uri": "http://a/b?c&d"}


def test_what_is_written_is_read_again() -> None:
    assert loads(dumps(EXAMPLE)) == EXAMPLE


@given(DATA_SETS)
def test_every_data_set_is_read_as_it_was_written(attributes: Attributes) -> None:
    assert loads(dumps(attributes)) == decimals_as_texts(attributes)


@given(st.text(st.characters(codec=None)))
def test_whatever_a_text_holds_the_document_is_well_formed(text: str) -> None:
    xml = dumps({"00710010": {"vr": "UT", "Value": [text]}})
    (value,) = ET.fromstring(xml)[0]
    assert len(value.text or "") == len(text)


def test_the_namespace_may_be_missing() -> None:
    assert loads(element("CS", '<Value number="1">CT</Value>')) == {
        "00710010": {"vr": "CS", "Value": ["CT"]}
    }


def private(end: str, creator: str, text: str = "x") -> str:
    """A private attribute as the standard has it: its creator in the place of its block."""
    name = f'tag="000900{end}" privateCreator="{creator}"'
    return f'<DicomAttribute {name} vr="LO"><Value number="1">{text}</Value></DicomAttribute>'


def test_private_attributes_are_put_into_blocks_of_their_creators() -> None:
    inside = private("01", "ACME", "a") + private("01", "OTHER", "b") + private("10", "ACME", "c")
    in_item = f'<DicomAttribute tag="00081140" vr="SQ"><Item>{inside}</Item></DicomAttribute>'
    found = loads(wrapped(inside + in_item))
    item = found.pop("00081140")["Value"][0]
    for level in (found, item):
        assert {tag: element["Value"] for tag, element in level.items()} == {
            "00090010": ["ACME"],
            "00090011": ["OTHER"],
            "00091001": ["a"],
            "00091101": ["b"],
            "00091010": ["c"],
        }


def test_private_attributes_are_put_where_their_creator_has_a_block_and_where_nothing_is() -> None:
    creator = element("LO", '<Value number="1">ACME </Value>', "00090011").decode()
    orphan = element("LO", "", "00091001").decode()
    inside = private("02", "ACME") + private("02", "OTHER") + creator + orphan
    xml = inside.replace("<NativeDicomModel>", "").replace("</NativeDicomModel>", "")
    found = loads(wrapped(xml))
    assert sorted(found) == ["00090011", "00090012", "00091001", "00091102", "00091202"]
    assert found["00090012"]["Value"] == ["OTHER"]


def test_a_private_attribute_is_there_once_and_its_group_has_a_block_for_it() -> None:
    with pytest.raises(Unreadable, match="twice"):
        loads(wrapped(private("01", "ACME") * 2))
    many = "".join(private("01", f"ACME {number}") for number in range(0xF0))
    assert len(loads(wrapped(many))) == 2 * 0xF0
    with pytest.raises(Unreadable, match="no block is left"):
        loads(wrapped(many + private("01", "ONE MORE")))


@given(st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda name: name.strip(" ")))
def test_whatever_a_creator_is_called_its_attributes_have_their_block_again(name: str) -> None:
    attributes: Attributes = {
        "00090011": {"vr": "LO", "Value": [name.strip(" ")]},
        "00091102": {"vr": "LO"},
    }
    assert list(loads(dumps(attributes))) == list(attributes)


def test_of_two_blocks_of_one_creator_the_second_is_called_by_its_tags() -> None:
    twice: Attributes = {
        tag: {"vr": "LO", "Value": ["ACME"]}
        for tag in ("00090010", "00090011", "00091001", "00091101", "00091201")
    }
    assert loads(dumps(twice)) == twice
    tags = [child.attrib["tag"] for child in ET.fromstring(dumps(twice))]
    assert tags == ["00090010", "00090011", "00090001", "00091101", "00091201"]


def test_values_without_content_may_be_left_out() -> None:
    xml = element("LO", '<Value number="2">b</Value><Value number="4">d</Value>')
    assert loads(xml)["00710010"]["Value"] == [None, "b", None, "d"]


def test_a_document_may_be_indented_and_commented() -> None:
    xml = element("SQ", '\n  <!-- none -->\n  <Item number="1">\n  </Item>\n  ')
    assert loads(xml) == {"00710010": {"vr": "SQ", "Value": [{}]}}


def test_decimal_texts_stay_as_they_are() -> None:
    assert loads(element("DS", '<Value number="1">1.50</Value>'))["00710010"]["Value"] == ["1.50"]


@pytest.mark.parametrize("vr", ["US", "FD"])
@pytest.mark.parametrize("text", ["many", "1_0", "１"])
def test_numbers_that_are_none_are_left_to_who_encodes_them(vr: str, text: str) -> None:
    found = loads(element(vr, f'<Value number="1">{text}</Value>'))
    assert found["00710010"]["Value"] == [text]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_the_encodings_of_xml_are_read(encoding: str) -> None:
    body = element("LO", '<Value number="1">é</Value>').decode()
    xml = f'<?xml version="1.0" encoding="{encoding}"?>{body}'.encode(encoding)
    assert loads(xml)["00710010"]["Value"] == ["é"]


FAMILY = "<FamilyName>a</FamilyName>"
LAUGHS = """<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>"""


@pytest.mark.parametrize(
    "xml",
    [
        b"",
        b"{}",
        b"<html/>",
        b"\xff\xfe",
        b"<NativeDicomModel>",
        b'<NativeDicomModel xmlns="http://other"/>',
        b"<NativeDicomModel/><NativeDicomModel/>",
        b'<?xml version="1.0" encoding="shift_jis"?><NativeDicomModel/>',
        b'<?xml version="1.0" encoding="rot13"?><NativeDicomModel/>',
        LAUGHS.encode() + wrapped(""),
        LAUGHS.encode() + element("LO", '<Value number="1">&b;</Value>'),
        b'<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x.dtd">' + wrapped(""),
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + wrapped("&x;"),
        wrapped("text"),
        wrapped("<NativeDicomModel/>"),
        wrapped('<Value number="1">a</Value>'),
        wrapped('<DicomAttribute vr="CS"/>'),
        wrapped('<DicomAttribute tag="PatientID" vr="CS"/>'),
        wrapped('<DicomAttribute tag="00710010" vr="CS"/><DicomAttribute tag="00710010" vr="CS"/>'),
        element("CS", '<Value number="0">a</Value>'),
        element("CS", '<Value number="x">a</Value>'),
        element("CS", '<Value number="2">a</Value><Value number="2">b</Value>'),
        element("CS", '<Value number="999999999">a</Value>'),
        element("CS", "<BulkData/>"),
        element("OB", '<BulkData uri="a"/><BulkData uri="b"/>'),
        element("OB", "<InlineBinary>AAA=</InlineBinary><InlineBinary>AQI=</InlineBinary>"),
        element("PN", "<PersonName><Alphabetic/><Alphabetic/></PersonName>"),
        element("PN", f"<PersonName><Alphabetic>{2 * FAMILY}</Alphabetic></PersonName>"),
        element("CS", '<Value number="1"><Item number="1"/></Value>'),
        element("PN", "<Alphabetic/>"),
        element("SQ", '<Item number="1">text</Item>'),
        wrapped('<DicomAttribute tag="00710010" vr="SQ"><Item>' * 1000),
    ],
)
def test_what_is_no_document_of_the_model_is_refused(xml: bytes) -> None:
    with pytest.raises(Unreadable):
        loads(xml)


def test_a_document_of_few_values_does_not_become_one_of_many() -> None:
    def leaving_out(each: int) -> str:
        values = "".join(f'<Value number="{number * each}"/>' for number in range(1, 11))
        return f'<DicomAttribute tag="00710010" vr="CS">{values}</DicomAttribute>'

    assert len(loads(wrapped(leaving_out(10_000)))["00710010"]["Value"]) == 100_000
    with pytest.raises(Unreadable, match="next value"):
        loads(wrapped(leaving_out(10_002)))


def test_sequences_are_nested_only_so_deep() -> None:
    def nested(depth: int) -> bytes:
        head, tail = '<DicomAttribute tag="00710010" vr="SQ"><Item number="1">', "</Item>"
        return wrapped(head * depth + (tail + "</DicomAttribute>") * depth)

    loads(nested(64))
    with pytest.raises(Unreadable, match="nested too deeply"):
        loads(nested(65))


def test_a_refusal_names_the_attribute_and_the_line() -> None:
    with pytest.raises(Unreadable, match=r"\(0071,0010\) .* line 2") as caught:
        loads(element("CS", "\n<html/>"))
    assert caught.value.tag == "00710010"


@given(st.binary() | st.text(st.sampled_from("<>/=\"' &#;NativeDicomModel01")).map(str.encode))
def test_no_bytes_break_the_reader(xml: bytes) -> None:
    with contextlib.suppress(Unreadable):
        loads(xml)
