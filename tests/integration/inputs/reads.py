"""Bad messages 51 to 56: searches, Accept, Range, lists of frames, renderings, tokens."""

from collections.abc import Callable

from tests.integration.inputs.case import Case, get
from tests.integration.inputs.conftest import GOOD_PATH
from tests.raw_http import request


def answers() -> list[Case]:
    """52 to 54: Accept, Range and lists of frames."""
    octets = "Accept: application/octet-stream"
    pixels = f"{GOOD_PATH}/bulkdata/7FE00010"
    accepts: dict[str, int] = {
        "q=2": 406,
        "q=x": 406,
        ";;;": 406,
        "/": 406,
        "application/dicom+json;q=2": 406,
        "text/html": 406,
        ", " * 3000 + "application/dicom+json": 200,
        "a/b, " * 4000 + "*/*": 200,
        'multipart/related; type="application/dicom+json': 406,
        "*/*": 200,
        "application/dicom+json;q=0": 406,
        "\x80\xff": 406,
    }
    ranges: dict[str, int] = {
        "bytes=" + ",".join(["0-0"] * 1000): 200,
        "bytes=5-4": 200,
        "bytes=-0": 416,
        "bytes=0-0": 206,
        f"bytes={2**64}-": 416,
        f"bytes=0-{2**64}": 206,
        "bytes=1000-": 416,
        "bytes=a-b": 200,
        "bytes=--1": 200,
        "lines=0-1": 200,
        "bytes=0-0\tx": 200,
    }
    frames: dict[str, int] = {
        "0": 400,
        "-1": 400,
        "99999": 404,
        "9" * 30: 400,
        ",".join(["1"] * 5001): 400,
        ",".join(["1"] * 5000): 200,
        "1;2": 400,
        "1,": 400,
        "1,2": 404,
        "%31": 200,
        "1e0": 400,
        "x": 400,
        "%D9%A1": 400,
    }
    searching = "/dicomweb/studies"
    injected = 'Accept: multipart/related; type="application/dicom"; boundary="x\\r\\nX-A: b"'
    return [
        *(
            Case(52, f"Accept {text[:40]}", get(searching, f"Accept: {text}"), status)
            for text, status in accepts.items()
        ),
        Case(52, "a boundary in Accept", get(GOOD_PATH, injected), 200),
        Case(
            52,
            "a transfer syntax that nobody knows",
            get(GOOD_PATH, "Accept: application/dicom; transfer-syntax=1.2.3"),
            406,
        ),
        *(
            Case(53, f"Range {text[:30]}", get(pixels, octets, f"Range: {text}"), status)
            for text, status in ranges.items()
        ),
        Case(
            53,
            "If-Range of another version",
            get(pixels, octets, "Range: bytes=0-0", 'If-Range: "other"'),
            200,
        ),
        *(
            Case(54, f"frames {text[:30]}", get(f"{GOOD_PATH}/frames/{text}", octets), status)
            for text, status in frames.items()
        ),
    ]


SEARCHES: dict[str, int] = {
    "limit=-1": 400,
    "limit=1e20": 400,
    "limit=abc": 400,
    "offset=9223372036854775808": 400,
    "NoSuchAttribute=1": 400,
    "&".join(f"a{number}=1" for number in range(3000)): 400,
    "PatientName=" + "*" * 500: 200,
    "PatientName=" + "a*" * 120: 200,
    "PatientName=%25": 200,
    "PatientID=_": 200,
    "StudyDate=2020-": 400,
    "StudyDate=-2020": 400,
    "StudyDate=2020-13-01": 400,
    "StudyDate=20201231-20200101": 200,
    "fuzzymatching=maybe": 400,
    "PatientName=doe&fuzzymatching=true": 200,
    "includefield=all": 200,
    "StudyInstanceUID=" + ",".join(f"1.2.{number}" for number in range(3000)): 200,
    "StudyInstanceUID=" + ",".join(f"1.2.{number}" for number in range(10_000)): 414,
    "PatientID=a%00b": 400,
    "PatientID=a&PatientID=b": 400,
    "00091001=a&00091001=b": 400,
}
"""51: queries."""

RENDERINGS: dict[str, int] = {
    "viewport=1000000,1000000": 400,
    "viewport=0,0": 400,
    "viewport=8,8,0,0,1000000,1000000": 200,
    "window=40,0,linear": 400,
    "window=40,NaN,linear": 400,
    "window=1e400,1,linear": 400,
    "annotation=everything": 200,
    "annotation=patient,technique": 200,
    "iccprofile=nobody": 400,
    "quality=101": 400,
}
"""55: how an image is to be rendered."""

TOKENS = {
    "none": [],
    "garbage": ["Authorization: Bearer garbage"],
    "a scheme that nobody knows": ["Authorization: Digest x"],
    "alg none": ["Authorization: Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9."],
    "kid ../../x": ["Authorization: Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6Ii4uLy4uL3gifQ.e30.eA"],
    "16 KB": ["Authorization: Bearer hilum_" + "x" * 16_000],
    "1 MB": ["Authorization: Bearer " + "x" * 1024 * 1024],
    "two": ["Authorization: Bearer a", "Authorization: Bearer b"],
}
"""56: what should say who asks; `test_tampered_tokens` and `test_provider` know many more."""


def queries() -> list[Case]:
    """51, 55 and 56: searches, renderings, and who asks."""
    rendered = f"{GOOD_PATH}/rendered"
    return [
        *(
            Case(51, f"search {query[:40]}", get(f"/dicomweb/studies?{query}"), status)
            for query, status in SEARCHES.items()
        ),
        *(
            Case(55, f"rendered {query}", get(f"{rendered}?{query}"), status)
            for query, status in RENDERINGS.items()
        ),
        *(
            Case(56, f"token: {what}", _asked_by(headers), 431 if what == "1 MB" else 401)
            for what, headers in TOKENS.items()
        ),
    ]


def _asked_by(headers: list[str]) -> Callable[[str], bytes]:
    """A search with these headers in place of the token."""
    return lambda _: request("GET", "/dicomweb/studies", headers)
