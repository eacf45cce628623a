"""What mutations start from: good input of each target, and what once went wrong."""

import struct
from base64 import b64encode

import imagecodecs
import numpy as np
from cryptography.x509 import DNSName

from app.dicom import nativexml
from app.dicom.instance import read_instance
from app.dicom.jsonmodel import dumps
from app.dicom.source import BytesSource
from tests.elements import (
    BIG_ENDIAN,
    JPEG_BASELINE,
    PIXEL_DATA,
    UNDEFINED,
    deflated,
    element,
    encapsulated,
    file_meta,
    file_of,
    image,
    implicit,
    in_implicit_vr,
    instance,
    item,
    nested,
    sequence,
)
from tests.fixtures.authority import Authority

_GRADIENT = np.arange(256, dtype=np.uint8).reshape(16, 16)
_RICH = {
    0x00080005: element(0x00080005, "CS", "ISO 2022 IR 6\\ISO 2022 IR 87"),
    0x00081140: sequence(0x00081140, item(element(0x00081150, "UI", b"1.2\0"), UNDEFINED), item()),
    0x00090010: element(0x00090010, "LO", "CREATOR"),
    0x00091001: element(0x00091001, "FD", struct.pack("<2d", 1.5, float("inf"))),
    0x00091002: element(0x00091002, "UN", implicit(0xFFFEE000), UNDEFINED) + implicit(0xFFFEE0DD),
    0x00091003: element(0x00091003, "AT", struct.pack("<2H", 0x10, 0x20)),
    0x00091004: nested(3, 0x00091004, defined=True),
    0x00280008: element(0x00280008, "IS", "2"),
    0x00281050: element(0x00281050, "DS", "40\\50.5"),
    0x00281051: element(0x00281051, "DS", "400\\1e3"),
    0x00283010: sequence(0x00283010, item(element(0x00283002, "US", struct.pack("<3H", 2, 0, 8)))),
    0x0040A730: sequence(
        0x0040A730, item(element(0x0040A040, "CS", "TEXT") + element(0x0040A160, "UT", "Finding"))
    ),
}
_JPEG = bytes(imagecodecs.jpeg8_encode(_GRADIENT))
_EXPLICIT = b"".join(image(_RICH).values())
_FILES = [
    instance(),
    instance(_RICH),
    in_implicit_vr(),
    file_of(b"".join(image(order=">").values()), file_meta(BIG_ENDIAN)),
    instance({PIXEL_DATA: encapsulated([_JPEG[:100], _JPEG[100:]], bytes(4))}, JPEG_BASELINE),
]
_ATTRIBUTES = read_instance(BytesSource(instance({**_RICH, PIXEL_DATA: None}))).dataset.attributes
_SIGNED = Authority().sign("CT 2", DNSName("ct2.example.org"))
_PART = b"Content-Type: application/dicom\r\n\r\ndata"

SEEDS: dict[str, list[bytes]] = {
    "data_set": [
        b"\0" + _EXPLICIT,
        b"\1" + in_implicit_vr()[132 + len(file_meta("1.2.840.10008.1.2")) :],
        b"\2" + b"".join(image(order=">").values()),
    ],
    "instance": _FILES,
    "deflated": [deflated(_EXPLICIT)],
    "multipart": [
        b"\2--b\r\n" + _PART + b"\r\n--b\r\n\r\nx\r\n--b--\r\n",
        b"\3preamble\r\n--b \t\n" + _PART + b"\n--bx\n--b--",
    ],
    "accept": [
        b'multipart/related; type="application/dicom"; transfer-syntax=*, */*;q=0.5',
        b"application/dicom+json;q=0.9, image/*;q=0",
    ],
    "content_type": [b'multipart/related; type="application/dicom"; boundary="a\\"b"'],
    "ranges": [b"bytes=0-0", b"bytes=-5", b"bytes=5-", b"bytes=0-1,5-6"],
    "query": [
        b"PatientName=Doe*&StudyDate=20200101-20201231&includefield=all&limit=5&offset=1",
        b"00400275.00400009=x&fuzzymatching=true&orderby=-StudyDate&StudyInstanceUID=1.2,1.3",
        b"StudyTime=10-11&ModalitiesInStudy=CT,MR&PatientID=%22a%22&emptyvaluematching=true",
    ],
    "parameters": [
        b"1,2,3",
        b"40,400,linear",
        b"100,100,0,0,-5,5",
        b"patient,technique",
        b"0,0,1,1",
    ],
    "dicom_json": [b"[" + dumps(_ATTRIBUTES) + b"]"],
    "native_xml": [nativexml.dumps(_ATTRIBUTES)],
    "fragments": [implicit(0xFFFEE000, b"abc") + implicit(0xFFFEE000) + implicit(0xFFFEE000, b"d")],
    "codestreams": [
        _JPEG,
        bytes(imagecodecs.jpeg2k_encode(_GRADIENT, codecformat="j2k")),
        bytes(imagecodecs.jpegls_encode(_GRADIENT)),
        struct.pack("<16I", 1, 64, *[0] * 14) + b"\xf1\0" * 16,
    ],
    "client_certificates": [
        b":" + b64encode(_SIGNED.der) + b":",
        _SIGNED.escaped.encode(),
        f'Hash={_SIGNED.sha256.hex()};Cert="{_SIGNED.escaped}"'.encode()
        + b';Subject="CN=a \\"b\\"";URI=x',
    ],
}
