"""Reading what the archive sends, in the plainest way, so that tests don't trust its own parser."""

import re

import httpx


def parts_of(answer: httpx.Response) -> list[bytes]:
    """The bodies of the parts of a multipart/related answer, byte by byte."""
    boundary = re.search(r'boundary="?([^";]+)', answer.headers["content-type"])
    assert boundary is not None, answer.headers["content-type"]
    first, *parts = (b"\r\n" + answer.content).split(b"\r\n--" + boundary[1].encode())
    assert first == b"", "something precedes the first boundary"
    assert parts.pop().strip() == b"--", "the message does not end with its boundary"
    return [part.partition(b"\r\n\r\n")[2] for part in parts]
