"""Content-Type is read as clients write it."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import BadRequest
from app.web.content_type import parse_content_type


@pytest.mark.parametrize(
    "header",
    [
        'multipart/related; type="application/dicom"; boundary="a b"',
        'multipart/related;boundary="a b";type=application/dicom',
        'Multipart/Related ; TYPE="application/dicom" ; Boundary="a b" ;',
        'multipart/related; type = "application\\/dicom"; boundary = "a b"',
        ' multipart/related; type=application/dicom; charset=utf-8; boundary="a b"',
    ],
)
def test_takes_any_order_case_quoting_and_spacing(header: str) -> None:
    content_type = parse_content_type(header)
    assert content_type.type == "multipart/related"
    assert content_type.parameters["type"] == "application/dicom"
    assert content_type.parameters["boundary"] == "a b"


def test_keeps_what_stands_in_quotes() -> None:
    parameters = parse_content_type(r'a/b; x=";y=\"1\""; z="é"').parameters
    assert parameters == {"x": ';y="1"', "z": "é"}


@pytest.mark.parametrize(
    "header",
    [
        "",
        "dicom",
        "a/b/c",
        "a/b x",
        "a/b; =1",
        'a/b; x="open',
        'a/b; x="1"2',
        "a/b; x=1; X=2",
        "a/b;x",
    ],
)
def test_refuses_what_is_malformed(header: str) -> None:
    with pytest.raises(BadRequest, match="Content-Type"):
        parse_content_type(header)


@given(st.text(alphabet='ab/;="\\ \t', max_size=200))
def test_anything_is_read_or_refused(header: str) -> None:
    with contextlib.suppress(BadRequest):
        parse_content_type(header)
