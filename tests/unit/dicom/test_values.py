"""Text of every character set, and of what is none."""

import encodings
from typing import Any

import pytest
from pydicom.charset import python_encoding

from app.dicom.values import NO_CHARACTER_SET, NOT_IN_CHARACTER_SET, charsets_of, convert

JAPANESE = ["ISO 2022 IR 6", "ISO 2022 IR 87"]


def text(value: bytes, *terms: Any) -> tuple[list[str], str | None]:
    charsets, _ = charsets_of({"vr": "CS", "Value": list(terms)})
    return convert("LO", value, "little", charsets)


@pytest.mark.parametrize("term", python_encoding)
def test_every_term_is_known(term: str) -> None:
    assert charsets_of({"vr": "CS", "Value": [term]}) == ([python_encoding[term]], None)


def test_without_a_value_it_is_the_default() -> None:
    assert charsets_of({"vr": "CS"}) == (["iso8859"], None)
    assert charsets_of({"vr": "CS", "Value": [None, "ISO 2022 IR 87"]}) == (
        ["iso8859", "iso2022_jp"],
        None,
    )


@pytest.mark.parametrize(
    ("term", "meant"),
    [
        ("ISO IR 100", "latin_1"),
        ("ISO-IR 192", "UTF8"),
        ("iso_ir_192", "UTF8"),
        ("utf-8", "UTF8"),
        ("ISO 2022-IR 87", "iso2022_jp"),
    ],
)
def test_what_is_misspelt_is_understood_with_a_warning(term: str, meant: str) -> None:
    assert charsets_of({"vr": "CS", "Value": [term]}) == ([meant], NO_CHARACTER_SET)


@pytest.mark.parametrize(
    "term",
    ["ISO_IR 999", "hex", "undefined", "idna", "utf_16", "rot13", 7, {"Alphabetic": "ISO_IR 100"}],
)
def test_what_is_no_character_set_is_latin_1_with_a_warning(term: Any) -> None:
    """Of Python's codecs some raise, whatever they are asked for."""
    assert charsets_of({"vr": "CS", "Value": [term]}) == (["iso8859"], NO_CHARACTER_SET)
    assert text(b"caf\xe9", term) == (["café"], None)


def test_unknown_terms_are_not_remembered() -> None:
    charsets_of({"vr": "CS", "Value": ["ISO_IR 998"]})
    assert not [name for name in vars(encodings)["_cache"] if "998" in name]


def test_what_stands_alone_has_no_extensions() -> None:
    for terms in (["ISO_IR 192", "ISO 2022 IR 87"], ["ISO 2022 IR 6", "GBK"]):
        charsets, problem = charsets_of({"vr": "CS", "Value": terms})
        assert (charsets, problem) == ([python_encoding[terms[0]]], None)


def test_text_with_escapes_is_read() -> None:
    written = "Yamada^Tarou=山田^太郎"
    raw = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B"
    assert text(raw, *JAPANESE) == ([written], None)


@pytest.mark.parametrize(
    "raw",
    [
        b"\x1b$Zabc\x1b(B",
        b"\x1b$B\x30",
        b"\x1b$Bab\x1b",
        b"\x1b-Fabc\xe1",
    ],
    ids=["an unknown escape", "half a character", "an escape cut short", "one not declared"],
)
@pytest.mark.filterwarnings("ignore")
def test_text_whose_escapes_are_not_understood_is_told_of(raw: bytes) -> None:
    assert text(raw, *JAPANESE)[1] == NOT_IN_CHARACTER_SET


def test_bytes_that_are_none_of_the_character_set_are_replaced_and_told_of() -> None:
    assert text(b"a\xff", "ISO_IR 192") == (["a\ufffd"], NOT_IN_CHARACTER_SET)


def test_a_replacement_character_that_was_written_is_text() -> None:
    assert text("a\ufffd".encode(), "ISO_IR 192") == (["a\ufffd"], None)


@pytest.mark.parametrize("vr", ["DS", "IS"])
def test_a_number_that_json_would_round_stays_the_text_that_it_is(vr: str) -> None:
    def read(value: str) -> tuple[list[Any], str | None]:
        return convert(vr, value.encode(), "little", ["UTF8"])

    assert read("9007199254740992") == ([2**53], None)
    assert read("9007199254740993") == (["9007199254740993"], None)
    assert read(r"-9007199254740993\1") == (["-9007199254740993", 1], None)
    assert read("123456789012345680") == ([123456789012345680], None)


def test_a_large_number_with_an_exponent_is_a_number() -> None:
    assert convert("DS", b"1.5e300", "little", ["UTF8"]) == ([1.5e300], None)


def problem_of(vr: str, value: str) -> str | None:
    return convert(vr, value.encode(), "little", ["UTF8"])[1]


@pytest.mark.parametrize(
    ("vr", "most"),
    [
        ("AE", 16),
        ("AS", 4),
        ("CS", 16),
        ("LO", 64),
        ("LT", 10_240),
        ("PN", 64),
        ("SH", 16),
        ("ST", 1024),
    ],
)
def test_a_value_that_is_too_long_is_told_of(vr: str, most: int) -> None:
    assert problem_of(vr, "A" * (most - 1)) is None
    assert problem_of(vr, "A" * most + "  ") is None
    assert problem_of(vr, "A" * (most + 1)) == f"longer than {most} characters"


def test_each_value_and_each_group_of_a_name_may_be_as_long() -> None:
    full = "é" * 64
    assert problem_of("LO", f"{full}\\{full}") is None
    assert problem_of("PN", f"{full}={full}={full}\\\\=") is None
    for vr, value in (("LO", f"{full}\\\\{full}é"), ("PN", f"{full}={full}={full}é")):
        assert problem_of(vr, value) == "longer than 64 characters"


@pytest.mark.parametrize("vr", ["UC", "UR", "UT"])
def test_some_texts_may_have_any_length(vr: str) -> None:
    assert problem_of(vr, "A" * 60_000) is None


@pytest.mark.parametrize(
    ("vr", "good", "bad"),
    [
        ("DA", ("20240229", "2024.02.29", "20240229\\\\"), ("99999999", "today", "2024-02-29")),
        ("TM", ("10", "101112.5", "10:11:12"), ("999999", "25", "101112.5000000")),
        ("DT", ("2024", "20240229101112.5+0100"), ("NaN", "2024+9999", "2024-02-29")),
        ("UI", ("1.2.3", "01.2", "1.2\\1.3"), ("x", "1..2", "1." + "2" * 63)),
    ],
)
def test_what_is_not_of_the_form_of_its_vr_is_kept_and_told_of(
    vr: str, good: tuple[str, ...], bad: tuple[str, ...]
) -> None:
    assert [value for value in good if problem_of(vr, value)] == []
    assert [value for value in bad if not problem_of(vr, value)] == []
    assert convert(vr, bad[0].encode(), "little", ["UTF8"])[0] == [bad[0]]
