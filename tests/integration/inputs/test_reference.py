"""The page of bad inputs says what the tables say."""

from pathlib import Path

from scripts.bad_inputs import render


def test_the_page_of_bad_inputs_is_what_the_tables_say() -> None:
    assert Path("docs/reference/bad-inputs.md").read_text() == render(), "run: make reference"
