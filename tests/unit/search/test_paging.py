"""How a page tells where the next one begins."""

from app.search.paging import LONGEST_URL, link_to_next, place_of, token_of, without_a_link

URL = "https://archive.example/dicomweb/studies"
PLACE = ("20240101", "100000.000000", "1.2")


def test_a_link_has_the_query_and_the_place() -> None:
    query = b"PatientName=M%C3%BCller*&offset=5&After=x&limit=2"
    assert link_to_next(URL, query, PLACE, 7) == (
        f'<{URL}?PatientName=M%C3%BCller*&limit=2&after={token_of(PLACE, 7)}>; rel="next"'
    )
    assert place_of(token_of(PLACE, 7)) == (PLACE, 7)


def test_a_long_query_has_no_link_but_its_place_is_told() -> None:
    assert link_to_next(URL, b"PatientID=" + b"a" * LONGEST_URL, PLACE, 7) is None
    assert f" after={token_of(PLACE, 7)} " in without_a_link(PLACE, 7)


def test_a_place_that_is_long_itself_is_not_told() -> None:
    assert without_a_link(("山" * 256,) * 3 + PLACE, 7).endswith("it is had by offset.")
