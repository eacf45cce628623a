"""Results as XML: a multipart message with a document of the Native DICOM Model for each."""

from email import message_from_bytes
from email.message import Message

import pytest

from app.dicom import nativexml
from tests.integration.search.conftest import NEWEST, Caller

XML = "application/dicom+xml"


def parts(content_type: str, body: bytes) -> list[Message]:
    message = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    payload = message.get_payload()
    return [part for part in payload if isinstance(part, Message)] if message.is_multipart() else []


@pytest.mark.parametrize(
    "accept",
    [
        f'multipart/related; type="{XML}"',
        f"multipart/related;type={XML}, application/dicom+json;q=0.5",
        XML,
    ],
)
@pytest.mark.parametrize("path", ["/studies", f"/studies/{NEWEST}/series", "/instances"])
async def test_xml_says_what_json_says(caller: Caller, path: str, accept: str) -> None:
    said = await caller.search(f"{path}?includefield=all")
    answer = await caller.get(f"{path}?includefield=all", Accept=accept)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(f'multipart/related; type="{XML}"; boundary=')
    found = parts(answer.headers["content-type"], answer.content)
    assert [part.get_content_type() for part in found] == [XML] * len(said)
    for part, expected in zip(found, said, strict=True):
        payload = part.get_payload(decode=True)
        assert isinstance(payload, bytes)
        read = nativexml.loads(payload)
        assert list(read) == sorted(expected)
        uids = {tag: expected[tag] for tag in expected if expected[tag]["vr"] == "UI"}
        assert {tag: read[tag] for tag in uids} == uids


async def test_nothing_found_is_a_message_without_parts(caller: Caller) -> None:
    answer = await caller.get(
        "/studies?PatientID=nobody", Accept=f'multipart/related; type="{XML}"'
    )
    assert answer.status_code == 200
    assert parts(answer.headers["content-type"], answer.content) == []
