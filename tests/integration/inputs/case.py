"""A bad message, byte by byte, and what is answered to it."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.raw_http import chunked, request

DICOM = "Content-Type: application/dicom"
RELATED = 'Content-Type: multipart/related; type="application/dicom"; boundary='
PART = b"Content-Type: application/dicom\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Case:
    """A message, the status of the answer, and the reasons of what fails in it."""

    number: int
    what: str
    make: Callable[[str], bytes]
    """The bytes, given the access token."""
    status: int
    reasons: list[int] | None = None

    @property
    def name(self) -> str:
        return f"5b-{self.number} {self.what}"


def post(
    *headers: str, body: bytes = b"", length: int | None = None, path: str = "/studies"
) -> Callable[[str], bytes]:
    """A Store request with a Content-Length, which is the body's unless another is given."""
    said = f"Content-Length: {len(body) if length is None else length}"

    def make(token: str) -> bytes:
        return request("POST", f"/dicomweb{path}", [*headers, said], body, token=token)

    return make


def message(*parts: bytes, boundary: bytes = b"b", end: bytes = b"\r\n") -> bytes:
    """The parts between delimiters, ended by the last one."""
    body = b"".join(b"--%b\r\n%b\r\n" % (boundary, part) for part in parts)
    return body + b"--%b--" % boundary + end


def related(body: bytes, boundary: str = "b") -> Callable[[str], bytes]:
    """A multipart message."""
    return post(RELATED + boundary, body=body)


def get(target: str, *headers: str) -> Callable[[str], bytes]:
    """A GET of this request target."""
    return lambda token: request("GET", target, headers, token=token)


def in_pieces(body: bytes) -> Callable[[str], bytes]:
    """A multipart message, each byte in a chunk of its own."""
    chunks = chunked(*(body[at : at + 1] for at in range(len(body))))
    headers = [RELATED + "b", "Transfer-Encoding: chunked"]
    return lambda token: request("POST", "/dicomweb/studies", headers, chunks, token=token)
