"""Normal forms: the two sides of every match."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dicom import normal


@pytest.mark.parametrize(
    ("groups", "form"),
    [
        ({"Alphabetic": "Doe^John"}, "=doe^john="),
        ({"Alphabetic": "Doe ^ John ^^^"}, "=doe^john="),
        ({"Alphabetic": "DOE^JÖHN"}, "=doe^john="),
        ({"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎"}, "=yamada^tarou=山田^太郎="),
        ({"Alphabetic": "", "Phonetic": "やまだ"}, "=やまだ="),
        ({"Ideographic": "김^희중"}, "=김^희중="),
        ({"Alphabetic": "^^"}, None),
        ({"Alphabetic": "a＝b\0"}, "=ab="),
        ({}, None),
    ],
)
def test_names(groups: dict[str, str], form: str | None) -> None:
    assert normal.person_name(groups) == form


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("Łukasz^Wałęsa", "lukasz^walesa"),
        ("Øster^Bjørn", "oster^bjorn"),
        ("IŞIK^Yıldız", "isik^yildiz"),
        ("Đorđe", "dorde"),
        ("Ærø^Œuvrard", "aero^oeuvrard"),
        ("Strauß", "strauss"),
        ("Þór^Guðrún", "thor^gudrun"),
        ("Ħŧŋ", "htn"),
    ],
)
def test_letters_that_do_not_decompose_are_written_plainly(name: str, plain: str) -> None:
    assert normal.name_group(name) == plain
    assert normal.name_group(plain.upper()) == plain


@pytest.mark.parametrize(
    ("value", "form"), [(2**64 - 1, 2**64 - 1), (2**64, None), (-1, None), ("007", 7)]
)
def test_an_unsigned_number_has_64_bits(value: int | str, form: int | None) -> None:
    assert normal.form("UV", value) == form


@given(st.text(max_size=300))
def test_a_folded_name_stays_as_it_is(name: str) -> None:
    once = normal.name_group(name)
    assert "=" not in once
    assert "\0" not in once
    assert len(once) <= normal.LONGEST


@pytest.mark.parametrize(
    ("value", "form"), [(" 007", 7), ("+5", 5), ("-1", -1), ("1_0", None), ("", None), ("٣", None)]
)
def test_integers(value: str, form: int | None) -> None:
    assert normal.integer(value) == form


@pytest.mark.parametrize(
    ("value", "first", "last"),
    [
        ("10", "100000.000000", "105960.999999"),
        ("1011", "101100.000000", "101160.999999"),
        ("101112", "101112.000000", "101112.999999"),
        ("101112.5", "101112.500000", "101112.500000"),
    ],
)
def test_a_time_means_a_span(value: str, first: str, last: str) -> None:
    assert normal.times(value) == (first, last)
    assert normal.time(value) == first
