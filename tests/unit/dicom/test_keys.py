"""What the value of a key means, by its VR (PS3.4 C.2.2.2)."""

import contextlib
import time

import pytest

from app.dicom.keys import combined, match
from app.dicom.query import (
    AllOf,
    Between,
    BetweenMoments,
    ByItsVr,
    Empty,
    InOneItem,
    Key,
    Kinds,
    Match,
    OneOf,
    Overlaps,
    PersonName,
    Unmatchable,
    Wildcard,
)

STUDY_DATE, STUDY_TIME = "00080020", "00080030"


@pytest.mark.parametrize("vr", ["PN", "LO", "SH", "CS", "UI", "DA", "TM", "IS", "US"])
@pytest.mark.parametrize("value", ["", " ", "*", "***", " * "])
def test_an_empty_value_and_a_lone_asterisk_match_everything(vr: str, value: str) -> None:
    assert match(vr, [value]) is None


@pytest.mark.parametrize(
    ("vr", "value", "meaning"),
    [
        ("LO", " 1234 ", OneOf(("1234",))),
        ("LO", "a,b", OneOf(("a,b",))),
        ("LO", "50%_\\", OneOf(("50%_\\",))),
        ("SH", "A*", Wildcard(("A*",))),
        ("SH", "A?2", Wildcard(("A?2",))),
        ("LO", "a" + "*" * 200 + "b", Wildcard(("a*b",))),
        ("CS", "CT", OneOf(("CT",))),
        ("CS", "CT,MR", OneOf(("CT", "MR"))),
        ("CS", "CT\\PT", OneOf(("CT", "PT"))),
        ("CS", "CT, ,CT,MR,", OneOf(("CT", "MR"))),
        ("CS", "C?,MR", Wildcard(("C?", "MR"))),
        ("CS", "CT,*", None),
        ("UI", "1.2.3", OneOf(("1.2.3",))),
        ("UI", "1.2.3 ,1.2.4", OneOf(("1.2.3", "1.2.4"))),
        ("UI", "1.2.3\\1.2.4\\1.2.3", OneOf(("1.2.3", "1.2.4"))),
        ("UI", "1.2.03", OneOf(("1.2.03",))),
        ("IS", "7", OneOf((7,))),
        ("IS", "007", OneOf((7,))),
        ("IS", "-7", OneOf((-7,))),
        ("US", "512", OneOf((512,))),
        ("UV", "18446744073709551615", OneOf((2**64 - 1,))),
        ("DA", "20240229", OneOf(("20240229",))),
        ("DA", "2024.02.29", OneOf(("20240229",))),
        ("DA", "20240101-20240131", Between("20240101", "20240131")),
        ("DA", "20240101 - 20240131", Between("20240101", "20240131")),
        ("DA", "20240101-", Between("20240101", None)),
        ("DA", "-20240131", Between(None, "20240131")),
        ("DA", "20240131-20240101", Between("20240131", "20240101")),
        ("TM", "101112.5", Between("101112.500000", "101112.500000", True)),
        ("TM", "101112", Between("101112.000000", "101112.999999", True)),
        ("TM", "10", Between("100000.000000", "105960.999999", True)),
        ("TM", "10:11", Between("101100.000000", "101160.999999", True)),
        ("TM", "10-1130", Between("100000.000000", "113060.999999")),
        ("TM", "10-", Between("100000.000000", None)),
        ("TM", "-10", Between(None, "105960.999999")),
        ("AT", "0028abcd", OneOf(("0028ABCD",))),
        ("AS", "042Y", OneOf(("042Y",))),
        ("DS", "5.0", OneOf((5.0,))),
        ("DS", " 0.50e1 ", OneOf((5.0,))),
        ("FL", "0.1", OneOf((0.10000000149011612,))),
        ("FD", "-.5", OneOf((-0.5,))),
        ("LT", "a*", Wildcard(("a*",))),
        (
            "DT",
            "202401",
            Overlaps(("20240101000000.000000", None), ("20240131235960.999999", None)),
        ),
        (
            "DT",
            "20240229101112.5+0100",
            Overlaps(("20240229101112.500000", 60), ("20240229101112.500000", 60)),
        ),
        (
            "DT",
            "20240101-0500-20240301-0500",
            Overlaps(("20240101000000.000000", -300), ("20240301235960.999999", -300)),
        ),
        (
            "DT",
            "2024-1130",
            Overlaps(("20240101000000.000000", -690), ("20241231235960.999999", -690)),
        ),
        (
            "DT",
            "2024-2025",
            Overlaps(("20240101000000.000000", None), ("20251231235960.999999", None)),
        ),
        ("DT", "2024-", Overlaps(("20240101000000.000000", None), None)),
        ("DT", "-2024+0200", Overlaps(None, ("20241231235960.999999", 120))),
        ("PN", "Doe^John", PersonName((("doe^john",),))),
        ("PN", "DOE ^ Jöhn^^", PersonName((("doe^john",),))),
        ("PN", "doe*", PersonName((("doe*",),))),
        ("PN", "*do?*", PersonName((("*do?*",),))),
        ("PN", "doe^*", PersonName((("doe", "doe^*"),))),
        ("PN", "doe^*^*", PersonName((("doe", "doe^*"),))),
        ("PN", "doe*^*", PersonName((("doe*",),))),
        ("PN", "Yamada^Tarou=山田^太郎", PersonName((("yamada^tarou",), ("山田^太郎",)))),
        ("PN", "=山田*", PersonName((("山田*",),))),
        ("PN", "김?수", PersonName((("김?수",),))),
    ],
)
def test_what_a_value_means(vr: str, value: str, meaning: Match | None) -> None:
    assert match(vr, [value]) == meaning


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("john doe", ("john", "doe")),
        ("Doe, John-Paul", ("doe", "john", "paul")),
        ("*Dvořák*", ("dvorak",)),
        ("山田=やまだ", ("山田", "やまだ")),
        ("O'Brien", ("o'brien",)),
    ],
)
def test_fuzzy_matching_adds_the_words_of_a_name(value: str, words: tuple[str, ...]) -> None:
    meaning = match("PN", [value], Kinds(fuzzy=True))
    assert isinstance(meaning, PersonName)
    assert meaning.words == words
    assert meaning.groups, "what is found literally must still be found"


@pytest.mark.parametrize("value", ["\\NECK", "NECK\\", "\\ NECK \\ \\", "NECK\\NECK"])
@pytest.mark.parametrize("vr", ["CS", "LO"])
def test_of_several_values_the_empty_ones_say_nothing(vr: str, value: str) -> None:
    assert match(vr, [value], Kinds(multiple_values=True)) == OneOf(("NECK",))
    assert match(vr, ["\\"], Kinds(multiple_values=True)) is None


def test_repeated_uids_are_one_list() -> None:
    assert match("UI", ["1.2", "1.3,1.4", "1.2"]) == OneOf(("1.2", "1.3", "1.4"))


@pytest.mark.parametrize(
    ("vr", "value"),
    [
        ("UI", "1.2.*"),
        ("UI", "1.2.?"),
        ("UI", "abc"),
        ("UI", "1..2"),
        ("UI", "1.2."),
        ("UI", "1" * 65),
        ("UI", ","),
        ("UI", "1.2\n"),
        ("UI", "١.٢"),
        ("CS", ","),
        ("DA", "2020"),
        ("DA", "2020-"),
        ("DA", "-2020"),
        ("DA", "2020-13-01"),
        ("DA", "20201301"),
        ("DA", "20200101-20200102-20200103"),
        ("DA", "-"),
        ("DA", "2020*"),
        ("DA", "yesterday"),
        ("DA", "٢٠٢٤٠٢٢٩"),
        ("TM", "25"),
        ("TM", "1-2"),
        ("TM", "-"),
        ("TM", "10-xx"),
        ("IS", "1.5"),
        ("IS", "1_000"),
        ("IS", "1-5"),
        ("IS", "9" * 30),
        ("IS", "9" * 10_000),
        ("IS", "1*"),
        ("US", "x"),
        ("DS", "1\\2"),
        ("DS", "nan"),
        ("DS", "1e999"),
        ("DS", "1*"),
        ("FL", "1e39"),
        ("AS", "04*"),
        ("AT", "0028????"),
        ("DT", "24"),
        ("DT", "-"),
        ("DT", "2024-2025-2026"),
        ("DT", "20241301"),
        ("OB", "x"),
        ("UN", "x"),
        ("PN", "^"),
        ("PN", "="),
        ("PN", "a=b=c=d"),
        ("PN", "x" * 257),
        ("LO", "x" * 257),
    ],
)
def test_a_value_that_the_vr_does_not_allow_is_refused(vr: str, value: str) -> None:
    with pytest.raises(Unmatchable):
        match(vr, [value])


def test_only_uids_and_codes_may_be_given_more_than_once() -> None:
    with pytest.raises(Unmatchable, match="more than once"):
        match("LO", ["a", "b"])


def test_a_name_of_very_many_words_is_refused_when_matched_fuzzily() -> None:
    with pytest.raises(Unmatchable, match="words"):
        match("PN", [" ".join("abcdefghijklmnopq")], Kinds(fuzzy=True))


@pytest.mark.parametrize(
    ("date", "when", "low", "high"),
    [
        (
            Between("20240101", "20240105"),
            Between("100000.000000", "120060.999999"),
            ("20240101", "100000.000000"),
            ("20240105", "120060.999999"),
        ),
        (
            Between("20240101", None),
            Between("100000.000000", None),
            ("20240101", "100000.000000"),
            None,
        ),
        (
            Between(None, "20240105"),
            Between(None, "120000.000000"),
            None,
            ("20240105", "120000.000000"),
        ),
    ],
)
def test_ranges_of_a_date_and_its_time_are_one_range_of_moments(
    date: Between, when: Between, low: tuple[str, str] | None, high: tuple[str, str] | None
) -> None:
    other = Key("00100020", OneOf(("1",)))
    keys = combined([Key(STUDY_TIME, when), other, Key(STUDY_DATE, date)])
    assert set(keys) == {other, Key(STUDY_DATE, BetweenMoments(STUDY_TIME, low, high))}


@pytest.mark.parametrize(
    ("date", "when"),
    [
        (OneOf(("20240101",)), Between("100000.000000", None)),
        (Between("20240101", None), Between(None, "120000.000000")),
        (Between("20240101", "20240102"), Between("100000.000000", None)),
        (
            Between("20240101", "20240105"),
            Between("100000.000000", "105960.999999", of_one_value=True),
        ),
    ],
)
def test_a_date_and_a_time_of_different_forms_are_matched_each_for_itself(
    date: Match, when: Match
) -> None:
    keys = (Key(STUDY_DATE, date), Key(STUDY_TIME, when))
    assert combined(keys) == keys


def test_keys_can_be_told_apart_and_remembered() -> None:
    item = InOneItem((Key("00400009", OneOf(("A",))),))
    assert {Key("00400275", item): 1}[Key("00400275", item)] == 1


@pytest.mark.parametrize("vr", ["PN", "LO", "CS", "UI", "DA", "TM", "IS"])
@pytest.mark.parametrize("piece", ["*", "?*", "*a", "^", "=", ",", "\\", "-", "1", "1."])
def test_reading_takes_linear_time(vr: str, piece: str) -> None:
    begin = time.process_time()
    for fuzzy in (False, True):
        with contextlib.suppress(Unmatchable):
            match(vr, [piece * 100_000], Kinds(fuzzy=fuzzy))
    assert time.process_time() - begin < 1


@pytest.mark.parametrize("vr", ["PN", "LO", "UI", "DA", "IS", "SQ", "OB", None])
def test_two_quotation_marks_are_no_value_if_that_is_asked_for(vr: str | None) -> None:
    assert match(vr, ['""'], Kinds(empty_values=True)) == Empty()


def test_two_quotation_marks_are_themselves_otherwise() -> None:
    assert match("LO", ['""']) == OneOf(('""',))


@pytest.mark.parametrize(
    ("vr", "value", "meaning"),
    [
        ("CS", "CT\\PT", AllOf((OneOf(("CT",)), OneOf(("PT",))))),
        ("LO", "a\\b\\a", AllOf((OneOf(("a",)), OneOf(("b",))))),
        ("PN", "Doe\\Roe", AllOf((PersonName((("doe",),)), PersonName((("roe",),))))),
        ("CS", "CT,PT", OneOf(("CT", "PT"))),
        ("UI", "1.2\\1.3", OneOf(("1.2", "1.3"))),
        ("LT", "a\\b", OneOf(("a\\b",))),
    ],
)
def test_several_values_must_all_be_there_if_that_is_asked_for(
    vr: str, value: str, meaning: Match
) -> None:
    assert match(vr, [value], Kinds(multiple_values=True)) == meaning


def test_several_values_take_no_wild_cards() -> None:
    with pytest.raises(Unmatchable, match="wild"):
        match("CS", ["C*\\PT"], Kinds(multiple_values=True))


def test_what_a_private_attribute_is_asked_for_is_left_to_its_vr() -> None:
    assert match(None, ["1*"]) == ByItsVr(("1*",), Kinds())
    assert match(None, ["*"]) is None
    with pytest.raises(Unmatchable):
        match(None, ["x" * 300])
