"""A JSON array is taken apart into its objects, of which one is in memory at a time."""

import time
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app.dicom.jsonarray import BYTES_OF_VALUE, WINDOW, objects
from app.dicom.source import BytesSource
from app.errors import BadRequest, TooLarge
from app.span import Span

_TEXTS = st.text(st.sampled_from('ab\\"{}[]:, \n\t/ä\u2028'), max_size=8)
_LEAVES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _TEXTS
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=20,
)
_OBJECTS = st.dictionaries(_TEXTS, _VALUES, max_size=5)


def texts(json: bytes, most: int = 1 << 22) -> list[bytes]:
    around = b"}]" + json + b"[{"
    return list(objects(BytesSource(around), Span(2, len(json)), most))


def read(json: bytes) -> list[Any]:
    return [orjson.loads(text) for text in texts(json)]


@hypothesis_settings(deadline=None)
@given(st.lists(_OBJECTS, max_size=5), st.sampled_from([0, orjson.OPT_INDENT_2]))
def test_the_objects_are_those_of_the_array(array: list[Any], option: int) -> None:
    assert read(orjson.dumps(array, option=option)) == array


@hypothesis_settings(deadline=None)
@given(_OBJECTS)
def test_an_object_alone_is_taken_as_it_is(alone: dict[str, Any]) -> None:
    assert read(b" \r\n" + orjson.dumps(alone) + b"\n") == [alone]


def test_a_byte_order_mark_is_passed_over_before_the_text_and_nowhere_else() -> None:
    mark = "\ufeff".encode()
    for text in (b"[]", b' [{"a": 1}]', b"{}"):
        assert texts(mark + text) == texts(text)
    for text in (mark, mark + mark + b"[]", b" " + mark + b"[]", b"[" + mark + b"{}]", mark[:2]):
        with pytest.raises(BadRequest, match="no JSON array"):
            texts(text)
    with pytest.raises(BadRequest, match="at byte 4"):
        texts(mark + b"[7]")


@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_what_is_longer_than_a_window_is_taken_too(beyond: int) -> None:
    array = [{"a": "{" * (WINDOW + beyond)}, {"b": ['"' * (3 * WINDOW + beyond)]}, {}]
    assert read(orjson.dumps(array)) == array


@pytest.mark.parametrize(
    "json",
    [
        *(b"", b" ", b"7", b'"[]"', b"null", b"[1]", b"[[{}]]", b"[{}", b"[{},]", b"[{} {}]"),
        *(b"[,{}]", b"[{}]]", b"{}{}", b"{},{}", b"[{]", b'[{"a', b'[{"a\\', b"[", b"{", b"]"),
    ],
)
def test_what_is_no_array_of_objects_is_a_bad_request(json: bytes) -> None:
    with pytest.raises(BadRequest):
        texts(json)


def test_the_objects_before_what_is_broken_are_given() -> None:
    found = objects(BytesSource(b'[{"a":1},7]'), Span(0, 11), 100)
    assert next(found) == b'{"a":1}'
    with pytest.raises(BadRequest, match="at byte 9"):
        next(found)


@pytest.mark.parametrize(
    "text", [b'{"a":[' + b"1," * 99 + b"1]}", b'{"a":[' + b"{}," * 66 + b"1]}"]
)
def test_an_object_has_only_so_many_values(text: bytes) -> None:
    values = text.count(b",") + text.count(b"{")
    assert texts(text, BYTES_OF_VALUE * values) == [text]
    with pytest.raises(TooLarge):
        texts(text, BYTES_OF_VALUE * values - 1)


@pytest.mark.parametrize(("most", "taken"), [(3 * WINDOW - 1, False), (3 * WINDOW, True)])
def test_an_object_has_only_so_many_bytes(most: int, taken: bool) -> None:
    json = b'[{"a":"' + b"x" * (3 * WINDOW - 8) + b'"}]'
    if taken:
        assert len(texts(json, most)) == 1
        return
    with pytest.raises(TooLarge):
        texts(json, most)


@pytest.mark.parametrize(
    "unit", [b"[", b"{", b'{"a":[', b"[1", b"[[1]", b'"', b"\\", b'{"', b" ", b"[{},", b'{"":{}']
)
def test_broken_texts_take_time_in_proportion_to_their_length(unit: bytes) -> None:
    started = time.process_time()
    with pytest.raises((BadRequest, TooLarge)):
        texts(b"[{" + unit * (1 << 18), most=1 << 24)
    assert time.process_time() - started < 5
