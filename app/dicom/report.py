"""A structured report (PS3.3 C.17.3) as HTML or as plain text, for people to read.

Everything that stands in a report was written by somebody else, so all of it is escaped: what was
made to look like markup is shown as the text that it is. The page loads nothing and runs nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import orjson

from app.dicom import jsonmodel, nativexml
from app.dicom.dataset import MIB, Unreadable, WalkLimits
from app.dicom.instance import read_instance
from app.dicom.jsonvalues import Attributes, items_of, values_of
from app.dicom.source import BytesSource
from app.errors import NotAcceptable, Unprocessable

HTML, TEXT, XML = "text/html", "text/plain", "text/xml"

LONGEST_REPORT = 4 * MIB
"""Bytes of an instance that is written down."""

REPORT_CLASSES = "1.2.840.10008.5.1.4.1.1.88."
"""With what the SOP Classes of structured reports and key object selections begin."""

_CONTENT, _CONCEPT_NAME, _CONCEPT_CODE = "0040A730", "0040A043", "0040A168"
_VALUE_TYPE, _RELATIONSHIP = "0040A040", "0040A010"
_CODE_VALUE, _CODE_MEANING = "00080100", "00080104"
_MEASURED, _NUMERIC_VALUE, _UNITS = "0040A300", "0040A30A", "004008EA"
_REFERENCED, _REFERENCED_INSTANCE = "00081199", "00081155"
_GRAPHIC_TYPE = "00700023"
_PLAIN_VALUES = {
    "TEXT": "0040A160",
    "PNAME": "0040A123",
    "DATE": "0040A121",
    "TIME": "0040A122",
    "DATETIME": "0040A120",
    "UIDREF": "0040A124",
    "SCOORD": _GRAPHIC_TYPE,
    "SCOORD3D": _GRAPHIC_TYPE,
    "TCOORD": "0040A130",
}
"""Which attribute has the value of a content item of each type."""
_HEADER = {
    "00100010": "Patient",
    "00100020": "Patient ID",
    "00100030": "Birth date",
    "00100040": "Sex",
    "00080020": "Study date",
    "00080050": "Accession number",
    "00081030": "Study",
    "0040A491": "Completion",
    "0040A493": "Verification",
}
_STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:50em;margin:2em auto;padding:0 1em}"
    "th{text-align:left;padding-right:1em}ul{padding-left:1.2em}"
    ".value{white-space:pre-wrap}.reference{color:#555}"
)


@dataclass(frozen=True, slots=True)
class Line:
    """One content item: what is asked, and the answer."""

    depth: int
    name: str
    value: str
    is_reference: bool = False

    @property
    def text(self) -> str:
        """Both, as a line of text has them."""
        return ": ".join(part for part in (self.name, self.value) if part)


def write_report(file: bytes, media_type: str) -> bytes:
    """The report that is stored as a Part 10 file, as HTML, plain text or Native DICOM XML.

    The file is read anew, since of a long text the metadata has no more than where it lies. Raises
    `Unprocessable`, `NotAcceptable`.
    """
    if media_type not in _WRITERS:
        raise NotAcceptable(f"Reports are not rendered as {media_type}.")
    limits = WalkLimits(
        header_bytes=4 * LONGEST_REPORT, held_bytes=LONGEST_REPORT, inflated_bytes=LONGEST_REPORT
    )
    try:
        found = read_instance(BytesSource(file), limits).dataset.attributes
    except Unreadable as error:
        raise Unprocessable(f"The report cannot be read: {error}") from error
    return _WRITERS[media_type](orjson.loads(jsonmodel.dumps(found)))


def as_text(attributes: Attributes) -> str:
    """The report as lines of text, indented as its content is nested."""
    header = [f"{name}: {value}" for name, value in _header(attributes)]
    indented = (
        "\n".join("  " * line.depth + piece for piece in line.text.splitlines() or [""])
        for line in _lines(attributes, 0)
    )
    return "\n".join([_title(attributes), *header, "", *indented, ""])


def as_html(attributes: Attributes) -> str:
    """The report as a page of its own."""
    title = escape(_title(attributes))
    rows = "".join(
        f"<tr><th>{escape(name)}<td>{escape(value)}" for name, value in _header(attributes)
    )
    pieces, depth = [], 0
    for line in _lines(attributes, 1):
        pieces.append("<ul>" * (line.depth - depth) + "</ul>" * (depth - line.depth))
        depth = line.depth
        kind = "reference" if line.is_reference else "value"
        name = f"<b>{escape(line.name)}</b> " if line.name else ""
        pieces.append(f'<li>{name}<span class="{kind}">{escape(line.value)}</span>')
    pieces.append("</ul>" * depth)
    return (
        f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style><h1>{title}</h1><table>{rows}</table>{''.join(pieces)}</html>\n"
    )


def _title(attributes: Attributes) -> str:
    return _meaning(attributes, _CONCEPT_NAME) or "Structured report"


def _header(attributes: Attributes) -> Iterator[tuple[str, str]]:
    for tag, name in _HEADER.items():
        value = _text(attributes, tag)
        if value:
            yield name, value


def _lines(item: Attributes, depth: int) -> Iterator[Line]:
    for child in items_of(item, _CONTENT):
        value, is_reference = _value(child)
        yield Line(depth, _meaning(child, _CONCEPT_NAME), value, is_reference)
        yield from _lines(child, depth + 1)


def _value(item: Attributes) -> tuple[str, bool]:
    """What a content item says, and whether it only refers to an object."""
    kind = _text(item, _VALUE_TYPE)
    if kind == "CODE":
        return _meaning(item, _CONCEPT_CODE), False
    if kind == "NUM":
        return " ".join(_measured(item)), False
    if kind in {"IMAGE", "COMPOSITE", "WAVEFORM"}:
        uids = (_text(each, _REFERENCED_INSTANCE) for each in items_of(item, _REFERENCED))
        return f"{kind.lower()} {', '.join(uids)}", True
    return _text(item, _PLAIN_VALUES.get(kind, "")), False


def _measured(item: Attributes) -> Iterator[str]:
    for measured in items_of(item, _MEASURED):
        yield _text(measured, _NUMERIC_VALUE)
        unit = items_of(measured, _UNITS)
        if unit and _text(unit[0], _CODE_VALUE) not in {"", "1"}:
            yield _text(unit[0], _CODE_VALUE)


def _meaning(item: Attributes, tag: str) -> str:
    return next((_text(code, _CODE_MEANING) for code in items_of(item, tag)), "")


def _text(item: Attributes, tag: str) -> str:
    return ", ".join(filter(None, map(_plain, values_of(item, tag))))


def _plain(value: Any) -> str:
    """A value of the JSON model; of the name of a person, its groups."""
    if isinstance(value, Mapping):
        groups = (str(value[group]) for group in _NAME_GROUPS if value.get(group))
        return " = ".join(" ".join(group.replace("^", " ").split()) for group in groups)
    return "" if value is None else str(value).strip()


_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")

_WRITERS: dict[str, Callable[[Attributes], bytes]] = {
    HTML: lambda attributes: as_html(attributes).encode(),
    TEXT: lambda attributes: as_text(attributes).encode(),
    XML: nativexml.dumps,
}
