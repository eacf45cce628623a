"""Bad messages 24, 25 and 47 to 49: the study in the URL, sizes, multipart, media types."""

from tests.elements import PIXEL_DATA, element, instance
from tests.integration.inputs.case import (
    DICOM,
    PART,
    Case,
    in_pieces,
    message,
    post,
    related,
)
from tests.integration.inputs.metadata import MEDIA_TYPES
from tests.integration.inputs.metadata import rows as bad_metadata
from tests.integration.inputs.row import CANNOT_UNDERSTAND, Kept, Refused

MIB = 1024 * 1024
GIB = 1024 * MIB


def studies() -> list[Case]:
    """24 and 25: the study in the URL."""
    bad = ["1..2", "x", "1.2.", "1" * 65, "1.2%20", "1.2,1.3", "%00", "1.2%0d%0aX:1"]
    return [
        Case(
            24,
            "an instance of another study than the URL's",
            post(DICOM, body=instance(), path="/studies/1.2.3"),
            409,
            [0xA901],
        ),
        *(
            Case(25, f"study {uid} in the URL", post(DICOM, path=f"/studies/{uid}"), 400)
            for uid in bad
        ),
        Case(25, "study ..%2f.. in the URL", post(DICOM, path="/studies/..%2f.."), 404),
    ]


def sizes() -> list[Case]:
    """47: too much, said in advance."""
    return [
        Case(47, "64 GiB and a byte", post(DICOM, length=64 * GIB + 1, body=b"x"), 413),
        Case(47, "2^64 bytes", post(DICOM, length=2**64, body=b"x"), 400),
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
        Case(48, "no boundary", post("Content-Type: multipart/related", body=message(whole)), 400),
        Case(48, "empty boundary", related(message(whole), '""'), 400),
        Case(48, "another boundary", related(message(whole), "c"), 400),
        Case(
            48,
            "boundary of 73 characters",
            related(message(whole, boundary=b"x" * 73), "x" * 73),
            200,
        ),
        Case(
            48,
            "boundary of 201 characters",
            related(message(whole, boundary=b"x" * 201), "x" * 201),
            400,
        ),
        Case(48, "boundary with a line break", related(message(whole), '"b\r\n c"'), 400),
        Case(48, "boundary with a quote", related(message(whole), 'b"'), 400),
        Case(
            48,
            "boundary with an escaped quote",
            related(message(whole, boundary=b'b"'), '"b\\""'),
            200,
        ),
        Case(48, "part without headers", related(message(headless)), 200),
        Case(
            48,
            "10,000 empty parts",
            related(message(*[b"\r\n"] * 10_000)),
            409,
            [CANNOT_UNDERSTAND] * 10_000,
        ),
        Case(48, "10,001 empty parts", related(message(*[b"\r\n"] * 10_001)), 413),
        Case(48, "a part's header of 16 KiB", related(message(long_header)), 400),
        Case(48, "40 headers of a part", related(message(many_headers)), 400),
        Case(48, "no closing delimiter", related(cut), 202, [CANNOT_UNDERSTAND]),
        Case(
            48,
            "a single part without an end",
            related(b"--b\r\n" + whole),
            409,
            [CANNOT_UNDERSTAND],
        ),
        Case(48, "preamble of 10 MB", related(blank + message(whole)), 200),
        Case(
            48,
            "preamble of delimiters that are none",
            related(b"\r\n--bx" * MIB + b"\r\n" + message(whole)),
            200,
        ),
        Case(48, "epilogue of 10 MB", related(message(whole) + blank), 200),
        Case(48, "a message in a message", related(message(nested)), 415),
        Case(
            48,
            "a message in a later part",
            related(message(whole, nested)),
            202,
            [CANNOT_UNDERSTAND],
        ),
        Case(
            48,
            "the boundary within pixel data",
            related(message(PART + inside, boundary=b"boundary"), "boundary"),
            200,
        ),
        Case(48, "each byte in a chunk", in_pieces(message(whole)), 200),
        Case(48, "line feeds alone", related(line_feeds), 200),
        Case(48, "base64", related(message(base64)), 415),
        Case(48, "a wrong Content-Length of a part", related(message(wrong_length)), 200),
        Case(
            48,
            "a header twice in a part",
            related(message(b"Content-Type: application/dicom\r\n" + whole)),
            400,
        ),
        Case(48, "no parts", related(message()), 400),
        Case(48, "an empty message", related(b""), 400),
        Case(48, "an empty instance", post(DICOM, body=b""), 400),
        Case(48, "a good one after all that", related(message(whole)), 200),
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
            Case(49, f"BulkDataURI {uri}", post(json, body=referring(uri)), 409)
            for uri in elsewhere
        ),
        Case(49, "application/json", post("Content-Type: application/json", body=b"{}"), 415),
        Case(49, "no type", post(body=good), 415),
        Case(49, "an empty type", post("Content-Type: ", body=good), 400),
        Case(49, "a type of junk", post("Content-Type: \x7f;;;=", body=good), 400),
        Case(
            49,
            "a form",
            post("Content-Type: multipart/form-data; boundary=b", body=message(good)),
            415,
        ),
        Case(49, "gzip", post(DICOM, "Content-Encoding: gzip", body=good), 415),
        Case(
            49,
            "deflate, as a transfer coding",
            post(DICOM, "Transfer-Encoding: gzip", body=good),
            400,
        ),
        Case(49, "DICOM JSON that is none", post(json, body=b"[{"), 400),
        Case(49, "DICOM JSON of 100,000 levels", post(json, body=b"[" * 100_000), 400),
        Case(49, "DICOM JSON of NaN", post(json, body=b"[NaN]"), 400),
        Case(49, "an XML bomb", post("Content-Type: application/dicom+xml", body=BOMB), 409),
        Case(
            49,
            "an XML external entity",
            post("Content-Type: application/dicom+xml", body=EXTERNAL),
            409,
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


def metadata() -> list[Case]:
    """14 to 45: what is wrong in a file, in metadata."""
    cases = []
    for row in bad_metadata():
        make = post(f"Content-Type: {MEDIA_TYPES[row.form]}", body=row.text)
        match row.answer:
            case Refused(reason):
                status, reasons = 409, [reason]
            case Kept(warned):
                status, reasons = 202 if warned else 200, []
        cases.append(Case(row.number, f"{row.what}, in {row.form}", make, status, reasons))
    return cases
