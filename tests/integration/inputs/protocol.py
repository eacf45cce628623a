"""Bad messages 50: HTTP itself."""

from collections.abc import Callable

from tests.elements import instance
from tests.integration.inputs.case import DICOM, Case, get
from tests.raw_http import chunked, request


def cases() -> list[Case]:
    """50: HTTP itself."""
    good = instance()
    length = f"Content-Length: {len(good)}"
    both = [DICOM, length, "Transfer-Encoding: chunked"]

    def raw(headers: list[str], body: bytes = good) -> Callable[[str], bytes]:
        return lambda token: request("POST", "/dicomweb/studies", headers, body, token=token)

    many = [f"X-{number}: x" for number in range(20_000)]
    return [
        Case(50, "Content-Length and Transfer-Encoding", raw(both, chunked(good)), 400),
        Case(50, "two Content-Lengths", raw([DICOM, length, length + "0"]), 400),
        Case(50, "the same Content-Length twice", raw([DICOM, length, length]), 400),
        Case(50, "a negative Content-Length", raw([DICOM, "Content-Length: -1"]), 400),
        Case(50, "a Content-Length of text", raw([DICOM, "Content-Length: 0x10"]), 400),
        Case(50, "an odd transfer coding", raw([DICOM, "Transfer-Encoding: chunked, x"]), 400),
        Case(
            50,
            "chunks that are none",
            raw([DICOM, "Transfer-Encoding: chunked"], b"xyz\r\n"),
            400,
        ),
        Case(
            50,
            "a negative chunk",
            raw([DICOM, "Transfer-Encoding: chunked"], b"-1\r\nx\r\n"),
            400,
        ),
        Case(
            50,
            "a chunk of 2^64 bytes",
            raw([DICOM, "Transfer-Encoding: chunked"], b"F" * 17 + b"\r\n"),
            400,
        ),
        Case(50, "a header that is folded", get("/dicomweb/studies", "X-A: b\r\n c"), 400),
        Case(50, "a bare carriage return", get("/dicomweb/studies", "X-A: b\rc"), 400),
        Case(50, "a space before the colon", get("/dicomweb/studies", "X-A : b"), 400),
        Case(50, "a NUL in a header", get("/dicomweb/studies", "X-A: b\0c"), 400),
        Case(50, "a header of 200 KB", get("/dicomweb/studies", "X-A: " + "x" * 200_000), 431),
        Case(
            50,
            "headers of 200 KB",
            get("/dicomweb/studies", *[f"X-{n}: " + "x" * 3000 for n in range(70)]),
            431,
        ),
        Case(50, "20,000 headers", get("/dicomweb/studies", *many), 431),
        Case(50, "an address of 200 KB", get("/dicomweb/" + "x" * 200_000), 414),
        Case(50, "the absolute form", get("http://other/dicomweb/studies?limit=1"), 200),
        Case(50, "two slashes", get("//dicomweb//studies"), 404),
        Case(50, "an encoded slash in a UID", get("/dicomweb/studies/1%2F2/metadata"), 404),
        Case(50, "an encoded NUL", get("/dicomweb/studies/1%002/metadata"), 400),
        Case(50, "a NUL", get("/dicomweb/studies/1\x002"), 400),
        Case(50, "a path upwards", get("/dicomweb/../../etc/passwd"), 404),
        Case(50, "an encoded path upwards", get("/dicomweb/studies/%2e%2e/%2e%2e"), 404),
        Case(50, "bytes that are no UTF-8", get("/dicomweb/studies/%ff%fe/metadata"), 400),
        Case(50, "no path", get("*"), 404),
        Case(
            50,
            "another host's authority",
            lambda token: request("CONNECT", "a:1", token=token),
            400,
        ),
        Case(
            50,
            "a method that nobody knows",
            lambda token: request("BREW", "/", token=token),
            400,
        ),
        Case(
            50, "another protocol", lambda _: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400
        ),
        Case(
            50,
            "an upgrade with a body",
            raw(["Connection: Upgrade", "Upgrade: h2c", DICOM, length]),
            400,
        ),
        Case(
            50,
            "HTTP/2 in the clear",
            lambda _: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            400,
        ),
        Case(50, "HTTP/0.9", lambda _: b"GET /dicomweb/studies\r\n\r\n", 401),
    ]
