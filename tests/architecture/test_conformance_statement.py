"""The conformance statement says of the tables in the code what they are."""

import re
from pathlib import Path

import pytest

from app.dicom import reasons
from app.dicom.attributes import ATTRIBUTES, REQUEST_ATTRIBUTES, Attribute
from app.dicom.dataset import BULK
from app.dicom.description import PixelDescription
from app.dicom.pixels import decode_frame
from app.dicom.recoding import TARGETS
from app.dicom.uids import TRANSFER_SYNTAXES, TransferSyntax
from app.errors import Unprocessable
from app.main import create_app
from app.settings import Limits

STATEMENT = Path("docs/conformance-statement.md").read_text()
ROWS = {
    tuple(cell.strip() for cell in line.strip("|").split("|"))
    for line in STATEMENT.splitlines()
    if line.startswith("|")
}
NAMED = [a for a in ATTRIBUTES.values() if a.column or a.returned]


@pytest.mark.parametrize("attribute", NAMED, ids=lambda attribute: attribute.keyword)
def test_every_key_and_every_returned_attribute_is_stated(attribute: Attribute) -> None:
    returned = "always" if attribute.returned else "on request"
    row = (
        attribute.tag,
        attribute.keyword,
        attribute.vr,
        attribute.level,
        "yes" if attribute.column else "no",
        "if known" if attribute.if_known else returned,
    )
    assert row in ROWS


def test_no_other_attribute_is_stated() -> None:
    stated = {row[0] for row in ROWS if re.fullmatch("[0-9A-F]{8}", row[0])}
    assert stated == {attribute.tag for attribute in NAMED}


@pytest.mark.parametrize(("tag", "keyword"), REQUEST_ATTRIBUTES.items())
def test_every_key_within_a_sequence_is_stated(tag: str, keyword: str) -> None:
    assert f"RequestAttributesSequence.{keyword}`" in STATEMENT
    assert f"00400275.{tag}" in STATEMENT


def test_the_reasons_that_are_given_are_those_that_are_stated() -> None:
    code = "\n".join(path.read_text() for path in Path("app").rglob("*.py"))
    given = {getattr(reasons, name) for name in re.findall(r"\breasons\.([A-Z_]+)", code)}
    stated = {
        (int(row[0], 16), int(row[1]), row[2])
        for row in ROWS
        if row[2:] and row[2] in {"failure", "warning"}
    }
    assert stated == {(code, code, "warning" if code >> 12 == 0xB else "failure") for code in given}


@pytest.mark.parametrize("syntax", TRANSFER_SYNTAXES.values(), ids=lambda syntax: syntax.name)
def test_every_transfer_syntax_is_stated(syntax: TransferSyntax) -> None:
    encoded = "yes" if syntax.uid in TARGETS else "no"
    row = syntax.uid, syntax.name, f"`{syntax.media_type}`", rendered(syntax), encoded
    assert row in ROWS


def rendered(syntax: TransferSyntax) -> str:
    """Whether frames of the syntax can be decoded, as the statement has it."""
    if syntax.name.startswith("JPIP"):
        return "no pixels"
    pixel = PixelDescription(1, 1, 1, 8, 8, 7, 0, 0, "MONOCHROME2", syntax.uid)
    with pytest.raises(Unprocessable) as refused:
        decode_frame(b"", pixel)
    return "no" if str(refused.value).startswith("Frames of the transfer syntax") else "yes"


def test_no_other_transfer_syntax_is_stated() -> None:
    stated = {row[0] for row in ROWS if re.fullmatch(r"1\.2\.840\.10008\.1\.2[.0-9]*", row[0])}
    assert stated == TRANSFER_SYNTAXES.keys()


def test_every_path_is_stated() -> None:
    for path in create_app().openapi()["paths"]:
        last = path.rpartition("/")[2]
        assert last in STATEMENT or last in {"{path}", "{frames}", "{study_instance_uid}"}, path


def test_the_numbers_are_stated() -> None:
    assert f"more than {BULK} bytes" in STATEMENT
    assert f"at most {Limits().search_results:,} results" in STATEMENT
