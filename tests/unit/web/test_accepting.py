"""Character sets that callers ask for: UTF-8 among others, or only others."""

import pytest
from starlette.requests import Request

from app.errors import InvalidParameter
from app.web.accepting import accepted_by


def request(query: str, **headers: str) -> Request:
    given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "query_string": query.encode(), "headers": given})


@pytest.mark.parametrize(
    "query",
    [
        "",
        "charset=",
        "charset=UTF-8",
        "charset=utf8",
        "charset=iso-8859-1,utf-8%3Bq=0.5",
        "charset=latin1&charset=utf-8",
        "charset=%22ISO_IR%20192%22",
    ],
)
def test_who_takes_utf_8_is_served(query: str) -> None:
    assert accepted_by(request(query))


@pytest.mark.parametrize(
    "query",
    ["charset=iso-8859-1", "charset=*", "charset=utf-8%3Bq=0.0", "charset=x,%22ISO_IR%20100%22"],
)
def test_who_takes_only_others_is_refused(query: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        accepted_by(request(query))
    assert refused.value.name == "charset"


def test_a_preference_is_no_condition() -> None:
    assert accepted_by(request("", accept_charset="iso-8859-1"))
    assert accepted_by(request("", accept="application/dicom+json; charset=iso-8859-1"))
