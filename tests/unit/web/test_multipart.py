"""The multipart parser takes what clients send, however it is cut, and gives up on the rest."""

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.errors import TooLarge
from app.web.content_type import parse_content_type
from app.web.multipart import Event, Malformed, Parser, PartBegins, PartData, PartEnds, Writer

Part = tuple[dict[str, str], bytes, bool]


def parts_of(events: list[Event]) -> list[Part]:
    """Headers, bytes and wholeness of each part, with the pieces of data joined."""
    parts: list[Part] = []
    for event in events:
        match event:
            case PartBegins(headers):
                parts.append((dict(headers), b"", False))
            case PartData(data):
                assert data, "an event without data says nothing"
                parts[-1] = (parts[-1][0], parts[-1][1] + data, False)
            case PartEnds(whole):
                parts[-1] = (parts[-1][0], parts[-1][1], whole)
    return parts


def parse(body: bytes, boundary: str = "b", *, cuts: int | None = None) -> list[Part]:
    """Parse the body in pieces of `cuts` bytes, or whole."""
    parser = Parser(boundary)
    size = cuts or len(body) or 1
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    events = [event for piece in pieces for event in parser.feed(piece)]
    return parts_of(events + parser.finish())


TWO = b"--b\r\nContent-Type: text/plain\r\n\r\none\r\n--b\r\nX: y\r\n\r\ntwo\r\n--b--"
TWO_PARTS = [({"content-type": "text/plain"}, b"one", True), ({"x": "y"}, b"two", True)]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(TWO, id="as the standard has it"),
        pytest.param(b"\r\n" + TWO, id="a line break first, as browsers' libraries send"),
        pytest.param(TWO + b"\r\n", id="a line break last"),
        pytest.param(b"This is a message in MIME format.\r\n" + TWO, id="a preamble"),
        pytest.param(TWO + b"\r\nEpilogue\r\n--b\r\n\r\nno part\r\n--b--", id="an epilogue"),
        pytest.param(TWO.replace(b"\r\n", b"\n"), id="line feeds alone"),
        pytest.param(TWO.replace(b"--b\r", b"--b \t\r"), id="blanks after the boundary"),
        pytest.param(b"--bc\r\n--b-\r\n" + TWO, id="what only resembles a delimiter before"),
        pytest.param(TWO.replace(b"X: y", b"X:y  "), id="blanks around a header's value"),
    ],
)
def test_takes_what_clients_send(body: bytes) -> None:
    assert parse(body) == TWO_PARTS
    assert parse(body, cuts=1) == TWO_PARTS


def test_takes_parts_without_headers() -> None:
    assert parse(b"--b\r\n\r\ndata\r\n--b--") == [({}, b"data", True)]


def test_takes_an_empty_part() -> None:
    assert parse(b"--b\r\n\r\n\r\n--b--") == [({}, b"", True)]


def test_ignores_a_content_length_that_lies() -> None:
    body = b"--b\r\nContent-Length: 2\r\n\r\nmore than two\r\n--b--"
    assert parse(body) == [({"content-length": "2"}, b"more than two", True)]


def test_joins_folded_headers() -> None:
    body = b'--b\r\nContent-Type: application/dicom;\r\n\t transfer-syntax="1.2"\r\n\r\n\r\n--b--'
    assert parse(body)[0][0] == {"content-type": 'application/dicom; transfer-syntax="1.2"'}


@pytest.mark.parametrize("length", [73, 200])
def test_takes_long_boundaries(length: int) -> None:
    boundary = "x" * length
    body = TWO.replace(b"--b", b"--" + boundary.encode())
    assert parse(body, boundary) == TWO_PARTS


@pytest.mark.parametrize("boundary", ["", "x" * 201, "a\r\nb", "ends with a blank ", "é"])
def test_refuses_what_can_be_no_boundary(boundary: str) -> None:
    with pytest.raises(Malformed):
        Parser(boundary)


def test_data_may_hold_what_resembles_a_delimiter() -> None:
    data = b"\r\n--bb\r\n--\r\n-b\n--b\n\r\n--b-\r\n--b\rx--b--\r"
    assert parse(b"--b\r\n\r\n" + data + b"\r\n--b--") == [({}, data, True)]


def test_line_feeds_alone_delimit_only_where_the_first_delimiter_ends_so() -> None:
    body = b"--b\r\n\r\none\n--b\n\ntwo\r\n--b--"
    assert parse(body) == [({}, b"one\n--b\n\ntwo", True)]


@pytest.mark.parametrize("length", range(TWO.index(b"one"), len(TWO)))
def test_tells_a_cut_message_from_a_whole_one(length: int) -> None:
    parser = Parser("b")
    events = parser.feed(TWO[:length]) + parser.finish()
    assert not parser.complete
    assert not parts_of(events)[-1][2]


def test_parts_before_the_cut_are_whole() -> None:
    assert [whole for _, _, whole in parse(TWO[:-4])] == [True, False]


@pytest.mark.parametrize("body", [b"", b"\r\n", b"no delimiter", b"x--b\r\n\r\nx--b--", b"--b"])
def test_refuses_a_body_without_a_delimiter(body: bytes) -> None:
    with pytest.raises(Malformed, match="boundary"):
        parse(body)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(b"no colon\r\n", id="no colon"),
        pytest.param(b": no name\r\n", id="no name"),
        pytest.param(b"bad name: x\r\n", id="a blank in the name"),
        pytest.param(b"A: 1\r\na: 2\r\n", id="twice the same"),
        pytest.param(b"--b\r\n", id="a delimiter"),
    ],
)
def test_refuses_malformed_headers(headers: bytes) -> None:
    with pytest.raises(Malformed):
        parse(b"--b\r\n" + headers + b"\r\n\r\n--b--")


@pytest.mark.parametrize("cuts", [None, 7])
def test_headers_are_bounded(cuts: int | None) -> None:
    at_the_limit = b"X: " + b"x" * (16 * 1024 - len("X: \r\n\r\n"))
    assert len(parse(b"--b\r\n" + at_the_limit + b"\r\n\r\n\r\n--b--", cuts=cuts)) == 1
    with pytest.raises(Malformed, match="16384 bytes"):
        parse(b"--b\r\n" + at_the_limit + b"x\r\n\r\n\r\n--b--", cuts=cuts)
    with pytest.raises(Malformed, match="16384 bytes"):
        parse(b"--b\r\n" + b"endless" * 10_000, cuts=cuts)


def test_header_lines_are_bounded() -> None:
    lines = [b"X%d: x\r\n" % number for number in range(33)]
    assert len(parse(b"--b\r\n" + b"".join(lines[:32]) + b"\r\n\r\n--b--")) == 1
    with pytest.raises(Malformed, match="32 lines"):
        parse(b"--b\r\n" + b"".join(lines) + b"\r\n\r\n--b--")


def test_parts_are_bounded() -> None:
    parser = Parser("b", parts=2)
    parser.feed(b"--b\r\n\r\n\r\n--b\r\n\r\n\r\n--b\r\n")
    with pytest.raises(TooLarge):
        parser.feed(b"\r\n")


@pytest.mark.parametrize(
    "filling",
    [
        pytest.param(b"\r", id="carriage returns"),
        pytest.param(b"\r\n", id="line breaks"),
        pytest.param(b"\r\n--bx", id="boundaries that are no delimiters"),
        pytest.param(b"\r\n--b" + b" " * 64 + b"x", id="with as many blanks as may be"),
    ],
)
@pytest.mark.parametrize("before", [b"--b\r\n\r\n", b"", b"--b--\r\n"])
def test_time_is_linear_whatever_fills_the_message(before: bytes, filling: bytes) -> None:
    """Some 4 MB in small pieces; anything worse than linear would take minutes."""
    piece = filling * (1024 // len(filling))
    parser = Parser("b")
    began = time.process_time()
    parser.feed(before)
    for _ in range(4096):
        parser.feed(piece + b"x")
    assert time.process_time() - began < 5


def test_time_is_linear_whatever_fills_the_headers() -> None:
    """Blanks within a value: 1 MB of them took minutes."""
    part = b"--b\r\nX: a" + b" " * 16_000 + b"b\r\n\r\n\r\n"
    began = time.process_time()
    assert len(parse(part * 64 + b"--b--")) == 64
    assert time.process_time() - began < 5


pieces_of_messages = st.lists(
    st.sampled_from(
        [
            b"\r\n",
            b"\n",
            b"\r",
            b"--b",
            b"--",
            b"-",
            b"b",
            b"--b--",
            b"--b\r\n",
            b" ",
            b"A: 1",
            b"\0",
        ]
    ),
    max_size=30,
).map(b"".join)


@given(
    st.one_of(pieces_of_messages, pieces_of_messages.map(lambda rest: TWO[:-4] + rest)),
    st.integers(1, 100),
)
@example(TWO, 2)
def test_how_the_message_is_cut_makes_no_difference(body: bytes, size: int) -> None:
    def outcome(pieces: list[bytes]) -> list[Part] | type[Exception]:
        parser = Parser("b")
        try:
            events = [event for piece in pieces for event in parser.feed(piece)]
            return parts_of(events + parser.finish())
        except Malformed as error:
            return type(error)

    whole = outcome([body])
    assert outcome([body[at : at + 1] for at in range(len(body))]) == whole
    assert outcome([body[at : at + size] for at in range(0, len(body), size)]) == whole
    assert outcome([body[:size], body[size:]]) == whole


@given(st.lists(st.binary(max_size=200)))
def test_what_the_writer_writes_the_parser_reads(bodies: list[bytes]) -> None:
    writer = Writer("application/dicom")
    headers = {"Content-Location": "http://h/1", "Content-Type": "application/dicom"}
    message = b"".join(writer.part(headers) + body for body in bodies) + writer.end()
    content_type = parse_content_type(writer.content_type)
    assert content_type.type == "multipart/related"
    assert content_type.parameters["type"] == "application/dicom"
    told = {name.lower(): value for name, value in headers.items()}
    expected = [(told, body, True) for body in bodies]
    assert parse(message, content_type.parameters["boundary"]) == expected


def test_the_writer_begins_as_viewers_need_it() -> None:
    writer = Writer("image/jpeg")
    boundary = writer.content_type.rpartition("boundary=")[2]
    assert boundary == boundary.lower()
    assert 0 < len(boundary) <= 70
    assert writer.content_type == f'multipart/related; type="image/jpeg"; boundary={boundary}'
    kind = "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50"
    headers = {"Content-Location": "http://h/1", "Content-Type": kind}
    named = f"Content-Type: {kind}\r\nContent-Location: http://h/1\r\n\r\n"
    assert writer.part(headers).decode() == f"--{boundary}\r\n{named}"
    assert writer.part(headers).decode() == f"\r\n--{boundary}\r\n{named}"
    assert writer.end().decode() == f"\r\n--{boundary}--\r\n"


def test_the_writer_lets_no_header_break_out() -> None:
    with pytest.raises(ValueError, match="line break"):
        Writer("image/jpeg").part({"Content-Location": "http://h/\r\nX: y"})
