"""What an archive is made of: locked, free to use, and told in a bill of materials."""

import json
import re
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from scripts import audit, sbom
from scripts.locked import RUNNING, Locked, due, entries, identifiers, installed, licence_of


class Declared(Distribution):
    """A distribution of which only the metadata are there."""

    def __init__(self, *lines: str) -> None:
        self._metadata = "\n".join(["Metadata-Version: 2.4", "Name: x", "Version: 1", *lines])

    def read_text(self, filename: str) -> str | None:
        return self._metadata if filename == "METADATA" else None

    def locate_file(self, path: object) -> Path:
        raise AssertionError(path)


def test_what_an_archive_runs_on_is_free_to_be_used_and_passed_on() -> None:
    assert list(audit.wrong_licences(installed(), due(RUNNING))) == []
    assert not [one for one in audit.LICENCES if "GPL" in one]


@pytest.mark.parametrize(
    ("declared", "licence"),
    [
        (["License-Expression: MIT OR Apache-2.0", "License: x"], "MIT OR Apache-2.0"),
        (["License: BSD-3-Clause"], "BSD-3-Clause"),
        (["License: MIT License"], "MIT"),
        (
            ["License: Copyright (c) somebody", "Classifier: License :: OSI Approved"],
            "OSI Approved",
        ),
        (
            [
                "Classifier: License :: OSI Approved :: MIT License",
                "Classifier: License :: OSI Approved :: GNU General Public License (GPL)",
            ],
            "MIT AND GNU General Public License (GPL)",
        ),
        ([], None),
    ],
)
def test_a_licence_is_what_the_metadata_declare(declared: list[str], licence: str | None) -> None:
    assert licence_of(Declared(*declared)) == licence


@pytest.mark.parametrize(
    "declared",
    [
        "License-Expression: GPL-3.0-or-later",
        "License-Expression: MIT AND LGPL-2.1-only",
        "License-Expression: MIT OR GPL-2.0-only",
        "License: proprietary",
        "Summary: says nothing",
    ],
)
def test_another_licence_is_found(declared: str) -> None:
    (wrong,) = audit.wrong_licences({"x": Declared(declared)}, [Locked("x", "1", ("0",), None)])
    assert wrong.startswith("x 1: licence ")


def test_an_expression_names_its_licences() -> None:
    assert identifiers("MPL-2.0 AND (Apache-2.0 OR MIT)") == {"MPL-2.0", "Apache-2.0", "MIT"}


def test_what_is_installed_and_not_locked_is_found() -> None:
    found = {"x": Declared(), "hilum": Declared()}
    assert list(audit.unlocked(found, [Locked("x", "1", ("0",), None)])) == []
    assert list(audit.unlocked(found, [])) == ["x 1 is installed and not locked"]
    assert list(audit.unlocked(found, [Locked("x", "2", ("0",), None)])) == [
        "x 1 is installed and not locked"
    ]


def test_a_lock_pins_by_version_and_hash(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.write_text(
        f"One.x==1.0 ; sys_platform == 'none' \\\n    --hash=sha256:{'a' * 64} \\\n"
        f"    --hash=sha256:{'b' * 64}\n    # via hilum\ntwo==2 \\\n    --hash=sha256:{'c' * 64}\n"
    )
    one, two = entries(lock)
    assert one == Locked("one-x", "1.0", ("a" * 64, "b" * 64), "sys_platform == 'none'")
    assert due(lock) == [two]
    for line in ("three>=1", "three==1", "three @ file:///three"):
        lock.write_text(line)
        with pytest.raises(ValueError, match="three"):
            entries(lock)


def test_what_an_index_takes_back_is_told() -> None:
    said = (
        "WARNING: The candidate selected for download or install is a yanked version: 'x' candidate"
        " (version 1.0 at https://index.example/x-1.0.whl (from https://index.example/x/))\n"
        "Reason for being yanked: broken\n"
    )
    assert audit.taken_back(said) == [("x", "1.0")]
    assert audit.taken_back("Would install x-1.0") == []


WEAK = {"name": "x", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}
SOUND = {"name": "y", "version": "1", "vulns": []}
SKIPPED = {"name": "z", "skip_reason": "not found"}


def test_a_report_of_weaknesses_is_judged() -> None:
    assert audit.judged(json.dumps({"dependencies": [SOUND]})) == audit.Answer([])
    answer = audit.judged(json.dumps({"dependencies": [WEAK, SOUND]}))
    assert answer == audit.Answer(["x 1: CVE-1 (mended in 2)"])
    answer = audit.judged(json.dumps({"dependencies": [WEAK, SKIPPED]}))
    assert (len(answer.wrong), answer.unknown) == (1, "nothing is told of 1")


@pytest.mark.parametrize("told", ["", "Traceback", "[]", "{}"])
def test_silence_is_no_good_news(told: str) -> None:
    assert audit.judged(told).unknown


async def test_the_bill_lists_what_the_lock_installs_and_who_needs_it() -> None:
    text = sbom.render()
    bill = json.loads(text)
    assert text == sbom.render()
    locked = {(one.name, one.version): one for one in due(RUNNING)}
    found = {(one["name"], one["version"]): one for one in bill["components"]}
    assert found.keys() == locked.keys()
    for key, component in found.items():
        assert component["purl"] == "pkg:pypi/{}@{}".format(*key)
        assert [one["content"] for one in component["hashes"]] == list(locked[key].sha256)
        assert component["licenses"]
    needed = {ref for one in bill["dependencies"] for ref in one["dependsOn"]}
    assert needed == {one["bom-ref"] for one in bill["components"]}


def test_the_bill_names_no_machine_and_no_index() -> None:
    text = sbom.render()
    assert re.findall(r"\w+://[^/\"]+", text) == ["http://cyclonedx.org"]
    assert str(Path.cwd()) not in text
