"""The page of a link shows texts as texts, runs nothing and loads nothing from elsewhere."""

import re
from html.parser import HTMLParser

import pytest

from app.shares import page
from app.shares.contents import Contents, Group, Tile

HOSTILE = "<script>alert('&\"')</script>"
CONTENTS = Contents(
    [Group(HOSTILE, [Tile("/studies/1.2/thumbnail", "?study=1.2&series=1.3", HOSTILE)])],
    "?from=200",
)


class Read(HTMLParser):
    """The elements of a page and their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def read(html: str) -> Read:
    reader = Read()
    reader.feed(html)
    return reader


@pytest.mark.parametrize(
    "html",
    [
        page.gallery(CONTENTS, "/dicomweb"),
        page.closed(asks_password=True, was_wrong=True),
        page.nowhere(),
    ],
    ids=["gallery", "closed", "nowhere"],
)
def test_a_page_runs_nothing_and_loads_nothing_from_elsewhere(html: str) -> None:
    icon, *found = [one for one in read(html).found if one[0] == "link"]
    assert (icon[1], found) == ({"rel": "icon", "href": "data:,"}, []), "no icon is asked for"
    for tag, attributes in read(html).found:
        if tag == "link":
            continue
        assert tag not in {"script", "iframe", "object", "base", "svg"}
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        for name in ("src", "href", "action"):
            assert re.match(r"(\?|/(?!/)|$)", attributes.get(name) or "")


def test_texts_of_data_sets_stay_texts() -> None:
    assert read(page.gallery(CONTENTS, "/dicomweb")).text.count(HOSTILE) == 2


def test_links_lead_below_the_path_that_the_archive_is_reached_by() -> None:
    shown = read(page.gallery(CONTENTS, "/pacs/dicomweb")).found
    assert ("src", "/pacs/dicomweb/studies/1.2/thumbnail") in {
        ("src", attributes.get("src")) for _, attributes in shown
    }
    assert "?study=1.2&series=1.3" in {attributes.get("href") for _, attributes in shown}


def test_the_policy_allows_the_style_and_nothing_else() -> None:
    assert "default-src 'none'" in page.POLICY
    assert "script-src" not in page.POLICY
    assert page.POLICY.count("sha256-") == 1
