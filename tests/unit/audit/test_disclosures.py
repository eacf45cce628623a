"""The table of disclosures runs nothing in what opens it."""

import csv
import io
from dataclasses import fields

import pytest

from app.audit.disclosures import CsvReport, Disclosure


@pytest.mark.parametrize("value", ["=cmd()", "+1", "-1", "@x", "\t=1"])
def test_no_value_is_a_formula(value: str) -> None:
    file = io.StringIO()
    names = [field.name for field in fields(Disclosure)]
    CsvReport(file).write(Disclosure(**dict.fromkeys(names, value)))
    header, row = csv.reader(io.StringIO(file.getvalue()))
    assert header == names
    assert row == [f"'{value}"] * len(names)
