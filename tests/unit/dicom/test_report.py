"""Structured reports as people read them, and what nobody wants to read in them."""

from html.parser import HTMLParser

import pytest

from app.dicom.nativexml import loads
from app.dicom.report import HTML, TEXT, XML, write_report
from app.errors import NotAcceptable, Unprocessable
from tests.unit.dicom.reports import code, content, measured, referenced, report


class Outline(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.text = ""
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_every_kind_of_content_is_written_where_it_belongs() -> None:
    file = report(
        content(
            "CONTAINER",
            "Findings",
            content("TEXT", "Finding", TextValue="Nodule\nin the left lung"),
            content("CODE", "Severity", ConceptCodeSequence=[code("Moderate")]),
            content("NUM", "Diameter", MeasuredValueSequence=[measured("12.5", "mm")]),
            content("PNAME", "Observer", PersonName="Doe^Jane"),
            content("DATE", "Since", Date="20240229"),
            content("UIDREF", "Study", UID="1.2.3"),
            content("IMAGE", None, ReferencedSOPSequence=[referenced("1.2.3.4")]),
        )
    )
    assert write_report(file, TEXT).decode().split("\n\n")[1] == (
        "Findings\n"
        "  Finding: Nodule\n"
        "  in the left lung\n"
        "  Severity: Moderate\n"
        "  Diameter: 12.5 mm\n"
        "  Observer: Doe Jane\n"
        "  Since: 20240229\n"
        "  Study: 1.2.3\n"
        "  image 1.2.3.4\n"
    )
    page = Outline(write_report(file, HTML))
    assert page.tags.count("li") == 8
    assert page.tags.count("ul") == 2
    for said in ("Imaging Report", "Doe Jane", "12.5 mm", "Moderate"):
        assert said in page.text


@pytest.mark.parametrize("keyword", ["PatientName", "PatientID", "StudyDescription"])
def test_markup_in_any_value_is_shown_and_not_obeyed(keyword: str) -> None:
    evil = "<script>alert(1)</script>"
    harmless = Outline(write_report(report(), HTML))
    page = Outline(
        write_report(
            report(content("TEXT", evil, TextValue=evil), title=evil, **{keyword: evil}), HTML
        )
    )
    assert set(page.tags) - {"ul", "li", "b", "span"} <= set(harmless.tags)
    assert not [name for name in page.attributes if name.startswith("on")]
    assert page.text.count(evil) == 5  # title twice, patient, name and value of the content


def test_a_long_text_is_there_to_its_end_in_its_own_characters() -> None:
    text = "Größe " * 1000 + "Ende"
    file = report(content("TEXT", "Befund", TextValue=text), SpecificCharacterSet="ISO_IR 100")
    assert text in write_report(file, TEXT).decode()
    assert text in write_report(file, HTML).decode()


def test_as_xml_it_is_the_whole_data_set() -> None:
    text = "long " * 1000 + "end"
    attributes = loads(write_report(report(content("TEXT", "A", TextValue=text)), XML))
    (item,) = attributes["0040A730"]["Value"]
    assert item["0040A160"]["Value"] == [text]


def test_what_is_no_report_is_told() -> None:
    with pytest.raises(Unprocessable, match="cannot be read"):
        write_report(b"no file", HTML)
    with pytest.raises(NotAcceptable):
        write_report(report(), "text/rtf")
