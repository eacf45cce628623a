"""Kept JSON of any length is read without being in memory, and is what it is when read at once."""

import tracemalloc
import zlib
from collections.abc import Callable, Iterator

import orjson
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app.dicom import jsonmodel, nativexml
from app.dicom.longjson import LONG, WINDOW, DataSet, loads, pieces, read
from app.errors import Corrupt
from tests.unit.dicom.models import DATA_SETS, Attributes
from tests.unit.dicom.test_nativexml import EXAMPLE

URL = "http://archive/studies/1/series/2/instances/3"
WINDOWS = st.integers(1, 40) | st.just(WINDOW)
BULK: Attributes = {
    "00400275": {"vr": "SQ", "Value": [{"00420011": {"vr": "OB", "BulkDataURI": "bulkdata/1/2"}}]},
    "00710010": {"vr": "LO", "Value": ['","BulkDataURI":"bulkdata/', "]}", "\\", '{"vr":"SQ"']},
    "7FE00010": {"vr": "OW", "BulkDataURI": "bulkdata/7FE00010"},
}


def at_once(attributes: Attributes) -> Attributes:
    whole: Attributes = orjson.loads(jsonmodel.absolute(jsonmodel.dumps(attributes), URL))
    return whole


def long_sequence(nesting: int) -> Attributes:
    """A sequence of many long items, in as many others."""
    items: list[Attributes] = [
        {"0040A160": {"vr": "UT", "Value": ["x" * 4096]}, "0040A730": {"vr": "SQ", "Value": [{}]}}
        for _ in range(400)
    ]
    found: Attributes = {}
    for _ in range(nesting):
        found = {"00081140": {"vr": "SQ", "Value": items}}
        items = [found]
    return found | {"00100020": {"vr": "LO", "Value": ["behind"]}}


@hypothesis_settings(deadline=None)
@given(DATA_SETS | st.sampled_from([EXAMPLE, BULK, {}]), WINDOWS)
def test_it_is_written_as_if_it_had_been_read_at_once(attributes: Attributes, window: int) -> None:
    packed, whole = jsonmodel.pack(attributes), at_once(attributes)
    assert b"".join(pieces(read(packed, URL, window=window))) == orjson.dumps(whole)
    xml = "".join(nativexml.pieces(read(packed, URL, window=window)))
    assert xml.encode() == nativexml.dumps(whole)


@hypothesis_settings(deadline=None)
@given(DATA_SETS, WINDOWS, st.data())
def test_what_is_not_wanted_is_passed_over(
    attributes: Attributes, window: int, data: st.DataObject
) -> None:
    fields = data.draw(st.sets(st.sampled_from([*attributes, "00100010"])))
    some = {tag: one for tag, one in at_once(attributes).items() if tag in fields}
    packed = jsonmodel.pack(attributes)
    assert b"".join(pieces(read(packed, URL, fields, window=window))) == orjson.dumps(some)


@hypothesis_settings(deadline=None)
@given(DATA_SETS | st.sampled_from([EXAMPLE, BULK, {}]), st.sampled_from([1, LONG]))
def test_attributes_in_memory_are_those_that_were_kept(
    attributes: Attributes, longest: int
) -> None:
    assert loads(jsonmodel.pack(attributes), longest=longest) == attributes


def test_what_is_not_wanted_of_long_json_is_not_in_memory() -> None:
    groups = [
        {"00209111": {"vr": "SQ", "Value": [{"00209157": {"vr": "UL", "Value": [number]}}]}}
        for number in range(20_000)
    ]
    attributes: Attributes = {
        "00080018": {"vr": "UI", "Value": ["1.2"]},
        "52009229": {"vr": "SQ", "Value": groups[:1]},
        "52009230": {"vr": "SQ", "Value": groups},
        "7FE00010": {"vr": "OB", "BulkDataURI": "bulkdata/7FE00010"},
    }
    packed = jsonmodel.pack(attributes)
    assert loads(packed, {"7FE00010", "00100010"}) == {"7FE00010": attributes["7FE00010"]}
    some = loads(packed, frames={2, 20_000})
    assert some.keys() == attributes.keys()
    found = some["52009230"]["Value"]
    assert len(found) == 20_000
    assert [item for item in found if item] == [groups[1], groups[-1]]
    assert (found[1], found[-1]) == (groups[1], groups[-1])


@pytest.mark.parametrize("nesting", [1, 2, 5])
def test_of_long_sequences_the_first_item_is_wanted_alone(nesting: int) -> None:
    attributes = long_sequence(nesting)
    found = loads(jsonmodel.pack(attributes), first=True)
    assert found["00100020"] == attributes["00100020"]
    for _ in range(nesting - 1):
        (found,), (attributes,) = (one["00081140"]["Value"] for one in (found, attributes))
    some, items = found["00081140"]["Value"], attributes["00081140"]["Value"]
    assert some == [items[0], *[{}] * (len(items) - 1)]


@given(DATA_SETS, WINDOWS, st.lists(st.booleans()))
def test_who_looks_at_some_items_alone_gets_all_elements(
    attributes: Attributes, window: int, looks: list[bool]
) -> None:
    whole = at_once(attributes)
    tags = []
    for tag, element in read(jsonmodel.pack(attributes), URL, window=window).items():
        tags.append(tag)
        for item, look in zip(element.get("Value", ()), looks, strict=False):
            if look and isinstance(item, DataSet):
                next(iter(item.items()), None)
    assert tags == list(whole)


@pytest.mark.parametrize("nesting", [1, 2, 5])
@pytest.mark.parametrize("write", [pieces, nativexml.pieces])
def test_a_long_sequence_is_never_in_memory(
    write: Callable[[DataSet], Iterator[str | bytes]], nesting: int
) -> None:
    packed = jsonmodel.pack(long_sequence(nesting))
    tracemalloc.start()
    length = sum(map(len, write(read(packed, URL, window=16 * 1024))))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < length / 4


@pytest.mark.parametrize("missing", [1, 2, 20, 200])
def test_what_is_cut_is_not_sent_as_if_it_were_whole(missing: int) -> None:
    json = jsonmodel.dumps(EXAMPLE | BULK)
    with pytest.raises(Corrupt):
        b"".join(pieces(read(zlib.compress(json[:-missing]), URL)))
    with pytest.raises(Corrupt):
        b"".join(pieces(read(jsonmodel.pack(EXAMPLE | BULK)[:-missing], URL)))


@pytest.mark.parametrize("packed", [b"", b"no zlib", zlib.compress(b""), zlib.compress(b"[1]")])
def test_what_is_no_data_set_is_refused(packed: bytes) -> None:
    with pytest.raises(Corrupt):
        b"".join(pieces(read(packed, URL)))
