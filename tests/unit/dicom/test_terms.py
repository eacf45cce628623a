"""Terms never miss what matches, and where they say so they decide."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.dicom import keys, terms
from app.dicom.matcher import fits
from app.dicom.query import InOneItem, Key, Kinds, Unmatchable
from app.dicom.terms import EVERYTHING, needs, term

Json = dict[str, Any]

TAGS = {
    "00181030": "LO",
    "00080008": "CS",
    "00080021": "DA",
    "00080031": "TM",
    "0008002A": "DT",
    "00180060": "DS",
    "00200052": "UI",
    "00081050": "PN",
    "00204000": "LT",
    "00091001": "UN",
    "00720074": "FL",
}
SEQUENCE = "0040A043"
TEXTS = st.sampled_from(
    ["A", "a", "A B", "B", "1", "1.0", "2024", "20240101", "20240229", "ä", "1.2"]
)
PIECES = st.sampled_from(["08", "0830", "202401", "-", "*", "?", "^", "=", ",", "\\", '""'])


@st.composite
def elements(draw: st.DrawFn, vr: str) -> Json:
    values: st.SearchStrategy[Any] = TEXTS
    if vr == "PN":
        values = st.fixed_dictionaries({"Alphabetic": TEXTS}, optional={"Phonetic": TEXTS})
    elif vr in ("DS", "FL"):
        values = st.sampled_from([1, 1.0, 2.5, 100])
    elif vr == "DA":
        values = st.sampled_from(["20240101", "20240229", "19991231", "junk"])
    elif vr == "TM":
        values = st.sampled_from(["08", "0830", "083015.5", "junk"])
    elif vr == "DT":
        values = st.sampled_from(["2024", "202401", "20240101083000", "20240101233000-0500"])
    elif vr == "UN":
        return {"vr": "UN", "InlineBinary": draw(st.sampled_from(["QQ==", "QSBC", "AAE=", "MQ=="]))}
    return {"vr": vr, "Value": draw(st.lists(st.none() | values, max_size=3))}


@st.composite
def data_sets(draw: st.DrawFn, depth: int = 2) -> Json:
    tags = draw(st.lists(st.sampled_from(list(TAGS)), max_size=4, unique=True))
    found = {tag: draw(elements(TAGS[tag])) for tag in tags}
    if depth and draw(st.booleans()):
        items = st.lists(data_sets(depth - 1), max_size=3)
        found[SEQUENCE] = {"vr": "SQ", "Value": draw(items)}
    return found


@st.composite
def wanted(draw: st.DrawFn, depth: int = 2) -> list[Key]:
    found = []
    for tag in draw(st.lists(st.sampled_from(list(TAGS)), min_size=1, max_size=2, unique=True)):
        text = "".join(draw(st.lists(TEXTS | PIECES, min_size=1, max_size=3)))
        kinds = draw(st.builds(Kinds, st.booleans(), st.booleans(), st.booleans()))
        try:
            match = keys.match(None if TAGS[tag] == "UN" else TAGS[tag], [text], kinds)
        except Unmatchable:
            continue
        if match is not None:
            found.append(Key(tag, match))
    if depth and draw(st.booleans()):
        below = tuple(draw(wanted(depth - 1)))
        found += [Key(SEQUENCE, InOneItem(below))] if below else []
    return list(keys.combined(found))


@settings(max_examples=250, deadline=None)
@given(data_set=data_sets(), asked=wanted())
def test_terms_never_miss_a_match_and_decide_where_they_say_so(
    data_set: Json, asked: list[Key]
) -> None:
    found, needed = terms.terms([data_set]), needs(asked)
    marked = bool(found & needed.marks)
    there = all(found & some for some in needed.some_of) and not found & needed.none_of
    if fits(asked, data_set):
        assert there or marked
    elif there and needed.exact:
        assert marked


@settings(max_examples=200, deadline=None)
@given(first=data_sets(), second=data_sets(), asked=wanted())
def test_terms_of_several_data_sets_miss_none_of_them(
    first: Json, second: Json, asked: list[Key]
) -> None:
    needed = needs(asked)
    if fits(asked, first) or fits(asked, second):
        for found in (
            terms.terms([first, second]),
            terms.terms([second], known=terms.terms([first])),
        ):
            assert found & needed.marks or all(found & some for some in needed.some_of)


def test_terms_are_the_same_in_every_process() -> None:
    assert term("00181030", "=head routine") == 6415286250719838858


def element(vr: str, *values: Any) -> Json:
    return {"vr": vr, "Value": list(values)}


@pytest.mark.parametrize(
    ("vr", "value", "text"),
    [
        ("AS", "045Y", "045y"),
        ("AT", "0018ABCD", "0018abcd"),
        ("CS", "B", "A,B"),
        ("DA", "2024.02.29", "20240101-20241231"),
        ("DS", "1.50", "15e-1"),
        ("DT", "20240229101112-0500", "20240229151112+0000"),
        ("FD", 2.5, "+2.50"),
        ("FL", 0.1, "1e-1"),
        ("IS", "+007", "7"),
        ("PN", {"Alphabetic": "Doe^Jané"}, "DOE^jane"),
        ("SH", "12", "12 "),
        ("SS", -7, "-07"),
        ("SV", -(2**63), str(-(2**63))),
        ("TM", "10:11", "10-11"),
        ("UC", "12*4", "12*4"),
        ("UI", "1.2.3", "1.2.4\\1.2.3"),
        ("UL", 2**32 - 1, "+4294967295"),
        ("UR", "urn:a?b", "urn:a?b"),
        ("UV", 2**64 - 1, "+18446744073709551615"),
    ],
)
def test_a_private_attribute_is_found_by_what_the_text_means_for_its_vr(
    vr: str, value: Any, text: str
) -> None:
    match = keys.match(None, [text])
    assert match is not None
    asked, data_set = [Key("00111001", match)], {"00111001": element(vr, value)}
    assert fits(asked, data_set)
    needed, found = needs(asked), terms.terms([data_set])
    assert all(found & some for some in needed.some_of) or found & needed.marks


@pytest.mark.parametrize(
    "attributes",
    [
        {"00181030": element("LO", *(f"V{number}" for number in range(129)))},
        {"00189306": element("FD", 0.5, 0.25)},
        {"00204000": element("LT", "a comment")},
        {"00081140": element("SQ", "finished JSON")},
        {"00189306": element("FD", *range(10_001))},
    ],
    ids=lambda attributes: next(iter(attributes)),
)
def test_what_has_too_many_values_or_free_text_is_marked(attributes: Json) -> None:
    (tag,) = attributes
    assert terms.terms([attributes]) == {term(tag), term(tag, "*")}


def test_values_of_what_is_marked_are_not_taken_any_more() -> None:
    known = terms.terms([{"00181030": element("LO", *map(str, range(200)))}])
    assert terms.terms([{"00181030": element("LO", "more")}], known) == known


def test_of_very_many_terms_nothing_is_left_but_a_mark() -> None:
    items = [{f"{tag:08X}": element("SH", "x")} for tag in range(0x00400000, 0x00400000 + 9_999)]
    many = {"0040A730": element("SQ", *items)}
    more = {"0040A731": element("SQ", *items)}
    assert terms.terms([many, more]) == {EVERYTHING}
    assert terms.terms([{"00181030": element("LO", "x")}], {EVERYTHING}) == {EVERYTHING}
