"""Bad messages 24, 25, 47 to 50 and 52 to 54: URLs, multipart messages, media types, HTTP."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.elements import PIXEL_DATA, element, instance
from tests.integration.inputs.conftest import GOOD_PATH, MIB, Process
from tests.integration.inputs.test_files import (
    FAILED,
    FAILURE_REASON,
    MAY_GROW,
    OTHER_FAILURES,
    SECONDS,
    items_of,
    legal_json,
    value,
)
from tests.raw_http import Answer, RawConnection, chunked, request

GIB = 1024 * MIB
DICOM = "Content-Type: application/dicom"
RELATED = 'Content-Type: multipart/related; type="application/dicom"; boundary='
PART = b"Content-Type: application/dicom\r\n\r\n"
CANNOT_UNDERSTAND = 0xC000


@dataclass(frozen=True, slots=True)
class Case:
    """A message and what is answered: one of the statuses, and the reasons of what fails."""

    number: int
    what: str
    make: Callable[[str], bytes]
    """The bytes, given the access token."""
    statuses: set[int | None]
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


def sizes() -> list[Case]:
    """47: too much, said in advance."""
    return [
        Case(47, "64 GiB and a byte", post(DICOM, length=64 * GIB + 1, body=b"x"), {413}),
        Case(47, "2^64 bytes", post(DICOM, length=2**64, body=b"x"), {400, 413}),
    ]


def messages() -> list[Case]:
    """48: multipart messages."""
    good, whole = instance(), PART + instance()
    line_feeds = b"--b\nContent-Type: application/dicom\n\n" + good + b"\n--b--\n"
    like_delimiters = b"\r\n--boundary-\r\n--bound".rjust(32, b"\0")
    inside = instance({PIXEL_DATA: element(PIXEL_DATA, "OB", like_delimiters)})
    base64 = b"Content-Type: application/dicom\r\nContent-Transfer-Encoding: base64\r\n\r\n" + good
    headless = b"\r\n" + good
    wrong_length = b"Content-Type: application/dicom\r\nContent-Length: 5\r\n\r\n" + good
    nested = b"Content-Type: multipart/mixed; boundary=c\r\n\r\n" + message(PART, boundary=b"c")
    long_header = b"X: " + b"x" * (16 * 1024) + b"\r\n" + PART
    many_headers = b"".join(b"X-%d: x\r\n" % number for number in range(40)) + PART
    blank = b"\r\n" * (5 * MIB)
    cut = message(whole, whole).rsplit(b"\r\n--b--", 1)[0]
    return [
        Case(
            48, "no boundary", post("Content-Type: multipart/related", body=message(whole)), {400}
        ),
        Case(48, "empty boundary", related(message(whole), '""'), {400}),
        Case(48, "another boundary", related(message(whole), "c"), {400}),
        Case(
            48,
            "boundary of 73 characters",
            related(message(whole, boundary=b"x" * 73), "x" * 73),
            {200},
        ),
        Case(
            48,
            "boundary of 201 characters",
            related(message(whole, boundary=b"x" * 201), "x" * 201),
            {400},
        ),
        Case(48, "boundary with a line break", related(message(whole), '"b\r\n c"'), {400}),
        Case(48, "boundary with a quote", related(message(whole), 'b"'), {400}),
        Case(
            48,
            "boundary with an escaped quote",
            related(message(whole, boundary=b'b"'), '"b\\""'),
            {200},
        ),
        Case(48, "part without headers", related(message(headless)), {200}),
        Case(
            48,
            "10,000 empty parts",
            related(message(*[b"\r\n"] * 10_000)),
            {409},
            [CANNOT_UNDERSTAND] * 10_000,
        ),
        Case(48, "10,001 empty parts", related(message(*[b"\r\n"] * 10_001)), {413}),
        Case(48, "a part's header of 16 KiB", related(message(long_header)), {400}),
        Case(48, "40 headers of a part", related(message(many_headers)), {400}),
        Case(48, "no closing delimiter", related(cut), {202}, [CANNOT_UNDERSTAND]),
        Case(
            48,
            "a single part without an end",
            related(b"--b\r\n" + whole),
            {409},
            [CANNOT_UNDERSTAND],
        ),
        Case(48, "preamble of 10 MB", related(blank + message(whole)), {200}),
        Case(
            48,
            "preamble of delimiters that are none",
            related(b"\r\n--bx" * MIB + b"\r\n" + message(whole)),
            {200},
        ),
        Case(48, "epilogue of 10 MB", related(message(whole) + blank), {200}),
        Case(48, "a message in a message", related(message(nested)), {415}),
        Case(
            48,
            "a message in a later part",
            related(message(whole, nested)),
            {202},
            [CANNOT_UNDERSTAND],
        ),
        Case(
            48,
            "the boundary within pixel data",
            related(message(PART + inside, boundary=b"boundary"), "boundary"),
            {200},
        ),
        Case(48, "each byte in a chunk", in_pieces(message(whole)), {200}),
        Case(48, "line feeds alone", related(line_feeds), {200}),
        Case(48, "base64", related(message(base64)), {415}),
        Case(48, "a wrong Content-Length of a part", related(message(wrong_length)), {200}),
        Case(
            48,
            "a header twice in a part",
            related(message(b"Content-Type: application/dicom\r\n" + whole)),
            {400},
        ),
        Case(48, "no parts", related(message()), {400}),
        Case(48, "an empty message", related(b""), {400}),
        Case(48, "an empty instance", post(DICOM, body=b""), {400}),
        Case(48, "a good one after all that", related(message(whole)), {200}),
    ]


def types() -> list[Case]:
    """49: what the body says it is, and what it refers to."""
    good, json = instance(), "Content-Type: application/dicom+json"
    elsewhere = [
        "file:///etc/passwd",
        "http://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1:1/",
        "missing",
        "\\\\host\\share",
    ]

    def referring(uri: str) -> bytes:
        identity = {
            "00080016": "1.2.840.10008.5.1.4.1.1.2",
            "00080018": "1.2.3.4.5.6",
            "0020000D": "1.2.3.4",
            "0020000E": "1.2.3.4.5",
        }
        elements = [f'"{tag}":{{"vr":"UI","Value":["{uid}"]}}' for tag, uid in identity.items()]
        quoted = uri.replace("\\", "\\\\")
        elements.append(f'"7FE00010":{{"vr":"OW","BulkDataURI":"{quoted}"}}')
        elements.append('"00020010":{"vr":"UI","Value":["1.2.840.10008.1.2.1"]}')
        return b"[{" + ",".join(elements).encode() + b"}]"

    return [
        *(
            Case(49, f"BulkDataURI {uri}", post(json, body=referring(uri)), {409})
            for uri in elsewhere
        ),
        Case(49, "application/json", post("Content-Type: application/json", body=b"{}"), {415}),
        Case(49, "no type", post(body=good), {415}),
        Case(49, "an empty type", post("Content-Type: ", body=good), {400, 415}),
        Case(49, "a type of junk", post("Content-Type: \x7f;;;=", body=good), {400, 415}),
        Case(
            49,
            "a form",
            post("Content-Type: multipart/form-data; boundary=b", body=message(good)),
            {415},
        ),
        Case(49, "gzip", post(DICOM, "Content-Encoding: gzip", body=good), {415}),
        Case(
            49,
            "deflate, as a transfer coding",
            post(DICOM, "Transfer-Encoding: gzip", body=good),
            {400, 415},
        ),
        Case(49, "DICOM JSON that is none", post(json, body=b"[{"), {400, 409}),
        Case(49, "DICOM JSON of 100,000 levels", post(json, body=b"[" * 100_000), {400, 409}),
        Case(49, "DICOM JSON of NaN", post(json, body=b"[NaN]"), {400, 409}),
        Case(49, "an XML bomb", post("Content-Type: application/dicom+xml", body=BOMB), {400, 409}),
        Case(
            49,
            "an XML external entity",
            post("Content-Type: application/dicom+xml", body=EXTERNAL),
            {400, 409},
        ),
    ]


BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a0 "aaaaaaaaaa">'
    + b"".join(
        b'<!ENTITY a%d "%b">' % (level, b"&a%d;" % (level - 1) * 10) for level in range(1, 10)
    )
    + b"]><NativeDicomModel>&a9;</NativeDicomModel>"
)
EXTERNAL = (
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    b"<NativeDicomModel>&a;</NativeDicomModel>"
)


def http() -> list[Case]:
    """50: HTTP itself."""
    good = instance()
    length = f"Content-Length: {len(good)}"
    both = [DICOM, length, "Transfer-Encoding: chunked"]

    def raw(headers: list[str], body: bytes = good) -> Callable[[str], bytes]:
        return lambda token: request("POST", "/dicomweb/studies", headers, body, token=token)

    many = [f"X-{number}: x" for number in range(20_000)]
    return [
        Case(50, "Content-Length and Transfer-Encoding", raw(both, chunked(good)), {400}),
        Case(50, "two Content-Lengths", raw([DICOM, length, length + "0"]), {400}),
        Case(50, "the same Content-Length twice", raw([DICOM, length, length]), {400}),
        Case(50, "a negative Content-Length", raw([DICOM, "Content-Length: -1"]), {400}),
        Case(50, "a Content-Length of text", raw([DICOM, "Content-Length: 0x10"]), {400}),
        Case(50, "an odd transfer coding", raw([DICOM, "Transfer-Encoding: chunked, x"]), {400}),
        Case(
            50,
            "chunks that are none",
            raw([DICOM, "Transfer-Encoding: chunked"], b"xyz\r\n"),
            {400},
        ),
        Case(
            50,
            "a negative chunk",
            raw([DICOM, "Transfer-Encoding: chunked"], b"-1\r\nx\r\n"),
            {400},
        ),
        Case(
            50,
            "a chunk of 2^64 bytes",
            raw([DICOM, "Transfer-Encoding: chunked"], b"F" * 17 + b"\r\n"),
            {400},
        ),
        Case(50, "a header that is folded", get("/dicomweb/studies", "X-A: b\r\n c"), {400}),
        Case(50, "a bare carriage return", get("/dicomweb/studies", "X-A: b\rc"), {400}),
        Case(50, "a space before the colon", get("/dicomweb/studies", "X-A : b"), {400}),
        Case(50, "a NUL in a header", get("/dicomweb/studies", "X-A: b\0c"), {400}),
        Case(50, "a header of 200 KB", get("/dicomweb/studies", "X-A: " + "x" * 200_000), {431}),
        Case(
            50,
            "headers of 200 KB",
            get("/dicomweb/studies", *[f"X-{n}: " + "x" * 3000 for n in range(70)]),
            {431},
        ),
        Case(50, "20,000 headers", get("/dicomweb/studies", *many), {431}),
        Case(50, "an address of 200 KB", get("/dicomweb/" + "x" * 200_000), {414}),
        Case(50, "the absolute form", get("http://other/dicomweb/studies?limit=1"), {200}),
        Case(50, "two slashes", get("//dicomweb//studies"), {404}),
        Case(50, "an encoded slash in a UID", get("/dicomweb/studies/1%2F2/metadata"), {400, 404}),
        Case(50, "an encoded NUL", get("/dicomweb/studies/1%002/metadata"), {400}),
        Case(50, "a NUL", get("/dicomweb/studies/1\x002"), {400}),
        Case(50, "a path upwards", get("/dicomweb/../../etc/passwd"), {404}),
        Case(50, "an encoded path upwards", get("/dicomweb/studies/%2e%2e/%2e%2e"), {400, 404}),
        Case(50, "bytes that are no UTF-8", get("/dicomweb/studies/%ff%fe/metadata"), {400, 404}),
        Case(50, "no path", get("*"), {400, 404}),
        Case(
            50,
            "another host's authority",
            lambda token: request("CONNECT", "a:1", token=token),
            {400, 404, 405},
        ),
        Case(
            50,
            "a method that nobody knows",
            lambda token: request("BREW", "/", token=token),
            {400, 405},
        ),
        Case(
            50, "another protocol", lambda _: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", {400}
        ),
        Case(
            50,
            "an upgrade with a body",
            raw(["Connection: Upgrade", "Upgrade: h2c", DICOM, length]),
            {400},
        ),
        Case(
            50,
            "HTTP/2 in the clear",
            lambda _: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            {400, 404, 405},
        ),
        Case(50, "HTTP/0.9", lambda _: b"GET /dicomweb/studies\r\n\r\n", {400, 401}),
    ]


def studies() -> list[Case]:
    """24 and 25: the study in the URL."""
    bad = ["1..2", "x", "1.2.", "1" * 65, "1.2%20", "1.2,1.3", "%00", "..%2f..", "1.2%0d%0aX:1"]
    return [
        Case(
            24,
            "an instance of another study than the URL's",
            post(DICOM, body=instance(), path="/studies/1.2.3"),
            {409},
            [0xA901],
        ),
        *(
            Case(25, f"study {uid} in the URL", post(DICOM, path=f"/studies/{uid}"), {400, 404})
            for uid in bad
        ),
    ]


def reads() -> list[Case]:
    """52 to 54: Accept, Range and lists of frames."""
    octets = "Accept: application/octet-stream"
    pixels = f"{GOOD_PATH}/bulkdata/7FE00010"
    accepts: dict[str, set[int | None]] = {
        "q=2": {400, 406},
        "q=x": {400, 406},
        ";;;": {400, 406},
        "/": {400, 406},
        "application/dicom+json;q=2": {200, 400, 406},
        "text/html": {406},
        ", " * 3000 + "application/dicom+json": {200, 400},
        "a/b, " * 4000 + "*/*": {200, 400},
        'multipart/related; type="application/dicom+json': {400, 406},
        "*/*": {200},
        "application/dicom+json;q=0": {406},
        "\x80\xff": {400, 406},
    }
    whole: set[int | None] = {200}
    ranges: dict[str, set[int | None]] = {
        "bytes=" + ",".join(["0-0"] * 1000): whole,
        "bytes=5-4": {200, 416},
        "bytes=-0": {416},
        "bytes=0-0": {206},
        f"bytes={2**64}-": {200, 416},
        f"bytes=0-{2**64}": {200, 206},
        "bytes=1000-": {416},
        "bytes=a-b": whole,
        "bytes=--1": whole,
        "lines=0-1": whole,
        "bytes=0-0\tx": whole,
    }
    frames: dict[str, set[int | None]] = {
        "0": {400},
        "-1": {400},
        "99999": {404},
        "9" * 30: {400},
        ",".join(["1"] * 5001): {400},
        ",".join(["1"] * 5000): {200},
        "1;2": {400},
        "1,": {400},
        "1,2": {404},
        "%31": {200},
        "1e0": {400},
        "x": {400},
        "%D9%A1": {400},
    }
    searching = "/dicomweb/studies"
    injected = 'Accept: multipart/related; type="application/dicom"; boundary="x\\r\\nX-A: b"'
    return [
        *(
            Case(52, f"Accept {text[:40]}", get(searching, f"Accept: {text}"), statuses)
            for text, statuses in accepts.items()
        ),
        Case(52, "a boundary in Accept", get(GOOD_PATH, injected), {200, 400, 406}),
        Case(
            52,
            "a transfer syntax that nobody knows",
            get(GOOD_PATH, "Accept: application/dicom; transfer-syntax=1.2.3"),
            {406},
        ),
        *(
            Case(53, f"Range {text[:30]}", get(pixels, octets, f"Range: {text}"), statuses)
            for text, statuses in ranges.items()
        ),
        Case(
            53,
            "If-Range of another version",
            get(pixels, octets, "Range: bytes=0-0", 'If-Range: "other"'),
            {200},
        ),
        *(
            Case(54, f"frames {text[:30]}", get(f"{GOOD_PATH}/frames/{text}", octets), statuses)
            for text, statuses in frames.items()
        ),
    ]


CASES = [*studies(), *sizes(), *messages(), *types(), *http(), *reads()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_bad_message_is_answered_as_listed(case: Case, process: Process) -> None:
    data = case.make(process.token)
    before, begin, used = process.memory(), time.monotonic(), process.seconds()
    with RawConnection(process.server.url, seconds=20) as connection:
        connection.send(data)
        answer = connection.receive()
    assert answer.status in case.statuses, (answer.status, answer.body[:500])
    assert process.seconds() - used < SECONDS
    assert time.monotonic() - begin < 4 * SECONDS
    assert process.peak() - before < MAY_GROW
    if case.reasons is not None:
        assert reasons(answer) == case.reasons
    assert is_served(process)


def reasons(answer: Answer) -> list[int]:
    """The Failure Reasons in the answer to a store."""
    module = legal_json(answer.body)
    failed = items_of(module, FAILED) + items_of(module, OTHER_FAILURES)
    return [value(item, FAILURE_REASON) for item in failed]


def is_served(process: Process) -> bool:
    """Whether others are still answered."""
    with RawConnection(process.server.url) as connection:
        connection.send(request("GET", "/dicomweb/studies?limit=1", token=process.token))
        return connection.receive().status == 200
