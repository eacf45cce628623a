"""What has to hold of each parser for any bytes. A target raises if it does not hold.

No error but those that are answered for, one result however the bytes are cut, and agreement with
pydicom about what is accepted.
"""

import asyncio
import io
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import orjson
import pydicom
from pydicom.errors import InvalidDicomError

from app.access.grants import SUBJECT
from app.dicom import jsonmodel, nativexml, report
from app.dicom.annotation import Topic, annotation_of
from app.dicom.assembly import assemble
from app.dicom.attributes import Level
from app.dicom.codestreams import read_jpeg, read_jpeg2000, read_rle
from app.dicom.dataset import DataSet, Unreadable, WalkLimits
from app.dicom.description import describe
from app.dicom.frames import join_fragments
from app.dicom.instance import SopInstance, read_instance
from app.dicom.jsonarray import objects
from app.dicom.matched import level_columns
from app.dicom.mediatypes import METADATA_OFFERS, acceptable, choose, frame_offers
from app.dicom.presentation import lookup_paths, presentation_of
from app.dicom.recoding import targets as recoding_targets
from app.dicom.source import BytesSource
from app.dicom.transcode import rewritten
from app.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN, TRANSFER_SYNTAXES
from app.dicom.walker import read_dataset
from app.errors import ArchiveError, BadRequest, Corrupt, TooLarge, Unprocessable
from app.retrieve.asking import frame_numbers
from app.retrieve.contents import Fragments
from app.retrieve.rendering import Rendering
from app.retrieve.stream import read_pieces
from app.retrieve.wado_uri import UriRequest
from app.search.params import read_query_string
from app.settings import Limits
from app.span import Span
from app.web.client_certificates import from_client_cert, from_pem, from_xfcc
from app.web.content_type import parse_content_type
from app.web.errors import RangeNotSatisfiable
from app.web.multipart import Event, Parser, PartBegins, PartData, PartEnds
from app.web.ranges import parse_range
from tests.elements import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, file_meta

Target = Callable[[bytes], None]

LIMITS = WalkLimits(
    header_bytes=1_000_000, elements=20_000, items_per_sequence=5_000, inflated_bytes=2_000_000
)
SYNTAXES = (EXPLICIT, IMPLICIT, BIG_ENDIAN)
HEAD = bytes(128) + b"DICM" + file_meta()


def data_set(data: bytes) -> None:
    """The walk: whole or refused, JSON that is legal, and the elements that pydicom finds."""
    syntax = TRANSFER_SYNTAXES[SYNTAXES[data[0] % len(SYNTAXES)]] if data else None
    if syntax is None:
        return
    source = BytesSource(data[1:])
    try:
        found = read_dataset(source, 0, syntax, LIMITS)
    except Unreadable:
        return
    attributes = _json(found)
    assert list(attributes) == sorted(attributes)
    _spans_lie_within(found, source.size)
    nativexml.loads(nativexml.dumps(attributes))
    if not found.problems and syntax.uid == EXPLICIT:
        _pydicom_agrees(data[1:], set(attributes))


def _json(found: DataSet) -> dict[str, Any]:
    text = jsonmodel.dumps(found.attributes)
    attributes: dict[str, Any] = json.loads(text, parse_constant=_refuse)
    assert orjson.loads(text) == attributes
    assert jsonmodel.unpack(jsonmodel.pack(found.attributes)) == text
    return attributes


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def _spans_lie_within(found: DataSet, size: int) -> None:
    for value in found.bulk:
        assert value.span.end <= size
    if found.pixel_data is not None:
        assert found.pixel_data.span.end <= size


def _pydicom_agrees(data: bytes, tags: set[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            theirs = pydicom.dcmread(io.BytesIO(HEAD + data), force=True)
        # Whatever it cannot read, it says in many ways.
        except (InvalidDicomError, ValueError, KeyError, OSError, NotImplementedError, EOFError):
            return
    named = {f"{tag:08X}" for tag in theirs.keys() if tag.element}  # noqa: SIM118
    assert named == tags, named ^ tags


def instance(data: bytes) -> None:
    """A whole file: refused, or everything that is ever made of it can be made."""
    try:
        sop = read_instance(BytesSource(data), LIMITS)
    except Unreadable:
        return
    frames = sop.frames
    if frames is not None and frames.table is not None:
        assert len(frames.table) == 16 * frames.number_of_frames
    for level in Level:
        level_columns(sop.dataset.attributes, level)
    attributes = _json(sop.dataset)
    if not (sop.transfer_syntax.deflated or sop.transfer_syntax.encapsulated):
        try:
            b"".join(rewritten([data], EXPLICIT_VR_LITTLE_ENDIAN))
        except Corrupt as error:
            raise AssertionError("what was accepted cannot be sent") from error
    _shown(sop, attributes)
    report.as_text(attributes)
    report.as_html(attributes)


def _shown(sop: SopInstance, attributes: Mapping[str, Any]) -> None:
    try:
        description = describe(attributes, sop.transfer_syntax.uid)
        presentation_of(attributes, 1, dict.fromkeys(lookup_paths(attributes, 1), b""))
        annotation_of(attributes, 1, tuple(Topic))
        recoding_targets(description, attributes)
    except Unprocessable:
        pass


def deflated(data: bytes) -> None:
    """A deflated data set."""
    instance(bytes(128) + b"DICM" + file_meta(DEFLATED) + data)


def multipart(data: bytes) -> None:
    """A multipart message means the same however it is cut."""
    if not data:
        return
    size, body = 1 + data[0], data[1:]
    whole = _parsed([body])
    assert _parsed([body[at : at + size] for at in range(0, len(body), size)]) == whole
    assert _parsed([body[at : at + 1] for at in range(len(body))]) == whole


_Parts = list[tuple[dict[str, str], bytes, bool]]


def _parsed(pieces: list[bytes]) -> tuple[_Parts, str]:
    """The parts, and how it ended."""
    parser = Parser("b", parts=20)
    events: list[Event] = []
    ended = "whole"
    try:
        for piece in pieces:
            events += parser.feed(piece)
        events += parser.finish()
    except (BadRequest, TooLarge) as error:
        ended = type(error).__name__
    parts: _Parts = []
    for event in events:
        match event:
            case PartBegins(headers):
                parts.append((dict(headers), b"", False))
            case PartData(piece):
                parts[-1] = (parts[-1][0], parts[-1][1] + piece, False)
            case PartEnds(is_whole):
                parts[-1] = (parts[-1][0], parts[-1][1], is_whole)
    if ended != "whole":
        # What came before the error in one piece may not have been told.
        return [], ended
    return parts, ended


def accept(data: bytes) -> None:
    """An Accept header: an offer, none, or a bad request."""
    text = data.decode("latin-1")
    for offers in (METADATA_OFFERS, frame_offers(TRANSFER_SYNTAXES[EXPLICIT], single=True)):
        try:
            offer = choose(acceptable([], text), offers)
        except BadRequest:
            continue
        assert offer is None or offer in offers


def content_type(data: bytes) -> None:
    """A Content-Type header."""
    with suppress(BadRequest):
        parse_content_type(data.decode("latin-1"))


def ranges(data: bytes) -> None:
    """A Range header: a range that lies within, the whole, or none that exists."""
    for length in (0, 1, 1000, 2**40):
        try:
            span = parse_range(data.decode("latin-1"), length)
        except RangeNotSatisfiable:
            continue
        assert span is None or (0 <= span.offset < span.end <= length)


def query(data: bytes) -> None:
    """The query string of a search."""
    for level in Level:
        try:
            read_query_string(data, level, limits=Limits())
        except BadRequest:
            continue


def parameters(data: bytes) -> None:
    """Parameters of rendering, frame lists, and the URI service."""
    text = data.decode("utf-8", "replace")
    names = ("window", "viewport", "quality", "annotation", "iccprofile")
    uri = {"requestType": "WADO", "studyUID": "1.2", "seriesUID": "1.3", "objectUID": "1.4"}
    attempts: list[Callable[[], Any]] = [
        lambda: frame_numbers(text, 100),
        *(lambda name=name: Rendering.parse("image/jpeg", {name: text}, 10**6) for name in names),
        *(
            lambda name=name: UriRequest.parse({**uri, name: text})
            for name in (
                "frameNumber",
                "rows",
                "region",
                "imageQuality",
                "contentType",
                "objectUID",
            )
        ),
        lambda: UriRequest.parse({**uri, "windowCenter": text, "windowWidth": text}),
    ]
    for attempt in attempts:
        try:
            attempt()
        except BadRequest:
            continue


def dicom_json(data: bytes) -> None:
    """Data sets as JSON: what can be written as a file can be read, and means the same."""
    try:
        texts = list(objects(BytesSource(data), Span(0, len(data)), 1_000_000))
    except (BadRequest, TooLarge):
        return
    for text in texts:
        try:
            attributes = orjson.loads(text)
        except orjson.JSONDecodeError:
            continue
        _written(attributes)


def native_xml(data: bytes) -> None:
    """A data set as XML: what can be read can be written as a file."""
    try:
        attributes = nativexml.loads(data)
    except Unreadable:
        return
    _written(attributes)


def _written(attributes: Any) -> None:
    source = BytesSource(b"")
    try:
        pieces = assemble(attributes, lambda _: (), source)
    except Unreadable:
        return
    file = b"".join(piece for piece in pieces if isinstance(piece, bytes))
    instance(file)


def fragments(data: bytes) -> None:
    """The items of a frame: joined the same at once and as a stream, or found to be none."""
    whole = _streamed(data, len(data) or 1)
    assert _streamed(data, 1 + len(data) // 7) == whole
    assert _streamed(data, 1) == whole
    if whole is not None:
        assert join_fragments(data) == whole


class _Cut:
    """A reader of bytes, in pieces of one size."""

    def __init__(self, data: bytes, size: int) -> None:
        self._data = data
        self._size = size

    async def read(self, _: str, span: Span) -> bytes:
        return self._data[span.offset : span.end]

    async def stream(self, _: str, span: Span) -> Any:
        for at in range(span.offset, span.end, self._size):
            yield self._data[at : min(at + self._size, span.end)]


def _streamed(data: bytes, size: int) -> bytes | None:
    async def joined() -> bytes:
        content = Fragments("key", Span(0, len(data)))
        return b"".join([piece async for piece in read_pieces(content, _Cut(data, size))])

    try:
        return asyncio.run(joined())
    except Corrupt:
        return None


def codestreams(data: bytes) -> None:
    """Headers of compressed images."""
    attempts: Iterator[Callable[[], Any]] = iter(
        (
            lambda: read_jpeg(data),
            lambda: read_jpeg(data, ls=True),
            lambda: read_jpeg2000(data),
            lambda: read_rle(data, 16, 16, 8),
        )
    )
    for attempt in attempts:
        try:
            attempt()
        except ArchiveError:
            continue


def client_certificates(data: bytes) -> None:
    """Headers that tell of a certificate. With a hash, it is that one or none."""
    text = data.decode("latin-1")
    for read in (from_client_cert, from_pem, from_xfcc):
        with suppress(ValueError):
            certificate = read(text)
            assert certificate.name.isprintable()
            assert all(map(SUBJECT.fullmatch, certificate.subjects))
            if read is from_xfcc and text.lower().startswith("hash="):
                assert certificate.sha256.hex() in text.replace("\\", "").lower()


TARGETS: dict[str, Target] = {
    target.__name__: target
    for target in (
        data_set,
        instance,
        deflated,
        multipart,
        accept,
        content_type,
        ranges,
        query,
        parameters,
        dicom_json,
        native_xml,
        fragments,
        codestreams,
        client_certificates,
    )
}
