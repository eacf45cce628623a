"""Negotiation: every Accept line that a known client sends, and the rules behind the answers."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dicom.mediatypes import (
    METADATA_OFFERS,
    RENDERED_OFFERS,
    MediaRange,
    Offer,
    acceptable,
    bulkdata_offers,
    choose,
    dicom_offers,
    frame_offers,
    parse_accept,
)
from app.dicom.uids import TRANSFER_SYNTAXES

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG = "1.2.840.10008.1.2.2"
JPEG = "1.2.840.10008.1.2.4.50"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
JPEG_LS = "1.2.840.10008.1.2.4.80"
J2K_LOSSLESS = "1.2.840.10008.1.2.4.90"
J2K = "1.2.840.10008.1.2.4.91"
RLE = "1.2.840.10008.1.2.5"

JAVA = "text/html, image/gif, image/jpeg, */*; q=0.2"
JAVA_OLD = "text/html, image/gif, image/jpeg, *; q=.2"
OHIF = "multipart/related; type=application/octet-stream; transfer-syntax=*"
OHIF_QUOTED = 'multipart/related; type="application/octet-stream"; transfer-syntax="*"'
MICROSCOPY = (
    'multipart/related; type="image/jls"; transfer-syntax=1.2.840.10008.1.2.4.80, '
    'multipart/related; type="image/jls"; transfer-syntax=1.2.840.10008.1.2.4.81, '
    'multipart/related; type="image/jp2"; transfer-syntax=1.2.840.10008.1.2.4.90, '
    'multipart/related; type="image/jp2"; transfer-syntax=1.2.840.10008.1.2.4.91, '
    'multipart/related; type="image/jpx"; transfer-syntax=1.2.840.10008.1.2.4.92, '
    'multipart/related; type="image/jpx"; transfer-syntax=1.2.840.10008.1.2.4.93, '
    'multipart/related; type="application/octet-stream"; transfer-syntax=*, '
    'multipart/related; type="image/jpeg"; transfer-syntax=1.2.840.10008.1.2.4.50'
)


def related(part_type: str, transfer_syntax: str | None = None) -> str:
    suffix = f"; transfer-syntax={transfer_syntax}" if transfer_syntax else ""
    return f'multipart/related; type="{part_type}"{suffix}'


def chosen(accept: str | None, offers: tuple[Offer, ...]) -> str | None:
    """The answer in short: `multipart image/jpeg 1.2.840.10008.1.2.4.50`."""
    offer = choose(acceptable([], accept), offers)
    if offer is None:
        return None
    form = "multipart" if offer.multipart else "single"
    return " ".join(filter(None, (form, offer.media_type, offer.transfer_syntax_uid)))


@pytest.mark.parametrize(
    ("accept", "stored", "answer"),
    [
        # OHIF, with and without quotes
        (OHIF, EXPLICIT, f"multipart application/octet-stream {EXPLICIT}"),
        (OHIF, IMPLICIT, f"multipart application/octet-stream {EXPLICIT}"),
        (OHIF, DEFLATED, f"multipart application/octet-stream {EXPLICIT}"),
        (OHIF, BIG, f"multipart application/octet-stream {BIG}"),
        (OHIF, J2K, f"multipart application/octet-stream {J2K}"),
        (OHIF_QUOTED, JPEG, f"multipart application/octet-stream {JPEG}"),
        # OHIF with requestTransferSyntaxUID, and the media types of older editions
        ("multipart/related; type=image/jls; transfer-syntax=" + JPEG_LS, JPEG_LS,
         f"multipart image/jls {JPEG_LS}"),
        ("multipart/related; type=image/jls; transfer-syntax=" + JPEG_LS, JPEG, None),
        (related("image/dicom+jpeg", JPEG), JPEG, f"multipart image/jpeg {JPEG}"),
        (related("image/dicom-rle", RLE), RLE, f"multipart image/dicom-rle {RLE}"),
        (related("image/x-dicom-rle"), RLE, f"multipart image/dicom-rle {RLE}"),
        (related("image/x-jls"), JPEG_LS, f"multipart image/jls {JPEG_LS}"),
        # dicomweb-client in JavaScript: no transfer syntax named
        (related("application/octet-stream"), EXPLICIT,
         f"multipart application/octet-stream {EXPLICIT}"),
        (related("application/octet-stream"), BIG,
         f"multipart application/octet-stream {EXPLICIT}"),
        (related("application/octet-stream"), J2K_LOSSLESS,
         f"multipart application/octet-stream {J2K_LOSSLESS}"),
        # dicom-microscopy-viewer: the stored syntax, whatever is listed first
        (MICROSCOPY, JPEG, f"multipart image/jpeg {JPEG}"),
        (MICROSCOPY, J2K, f"multipart image/jp2 {J2K}"),
        (MICROSCOPY, EXPLICIT, f"multipart application/octet-stream {EXPLICIT}"),
        (MICROSCOPY, RLE, f"multipart application/octet-stream {RLE}"),
        # dicomweb-client in Python
        ('multipart/related; type="*/*"', JPEG, f"multipart image/jpeg {JPEG}"),
        ('multipart/related; type="*/*"', IMPLICIT,
         f"multipart application/octet-stream {EXPLICIT}"),
        # wsidicom: one syntax, and 406 says that it is not available
        (related("image/jpeg", JPEG), JPEG, f"multipart image/jpeg {JPEG}"),
        (related("image/jpeg", JPEG), J2K, None),
        (related("image/jpeg"), JPEG, f"multipart image/jpeg {JPEG}"),
        (related("image/jpeg"), JPEG_LOSSLESS, f"multipart image/jpeg {JPEG_LOSSLESS}"),
        # ez-wsi
        (related("application/octet-stream", "*"), JPEG,
         f"multipart application/octet-stream {JPEG}"),
        # single parts
        ("application/octet-stream; transfer-syntax=*", J2K,
         f"single application/octet-stream {J2K}"),
        ("application/octet-stream", IMPLICIT, f"single application/octet-stream {EXPLICIT}"),
        ("image/jpeg", JPEG, f"single image/jpeg {JPEG}"),
        ("image/*", JPEG, f"single image/jpeg {JPEG}"),
        ("image/*", EXPLICIT, None),
        # anything
        (None, EXPLICIT, f"multipart application/octet-stream {EXPLICIT}"),
        ("*/*", JPEG, f"multipart image/jpeg {JPEG}"),
        ("*", JPEG, f"multipart image/jpeg {JPEG}"),
        ("multipart/related", JPEG, f"multipart image/jpeg {JPEG}"),
        ("multipart/*", JPEG, f"multipart image/jpeg {JPEG}"),
        # what is named is made, or refused
        (related("application/octet-stream", EXPLICIT), EXPLICIT,
         f"multipart application/octet-stream {EXPLICIT}"),
        (related("application/octet-stream", EXPLICIT), BIG,
         f"multipart application/octet-stream {EXPLICIT}"),
        (related("application/octet-stream", IMPLICIT), IMPLICIT,
         f"multipart application/octet-stream {IMPLICIT}"),
        (related("application/octet-stream", IMPLICIT), EXPLICIT, None),
        (related("application/octet-stream", EXPLICIT), J2K, None),
        (related("application/octet-stream", "1.2.3.4"), EXPLICIT, None),
        ("application/json", EXPLICIT, None),
        # and this is no transfer syntax at all
        (related("application/octet-stream", "latest"), EXPLICIT, None),
    ],
)  # fmt: skip
def test_frames_are_answered_as_each_client_needs(
    accept: str | None, stored: str, answer: str | None
) -> None:
    assert chosen(accept, frame_offers(TRANSFER_SYNTAXES[stored], single=True)) == answer


@pytest.mark.parametrize(
    ("accept", "stored", "answer"),
    [
        # dicomweb-client in Python: instance, series
        (related("application/dicom", "*"), IMPLICIT, f"multipart application/dicom {IMPLICIT}"),
        (related("application/dicom"), IMPLICIT, f"multipart application/dicom {EXPLICIT}"),
        (related("application/dicom"), DEFLATED, f"multipart application/dicom {EXPLICIT}"),
        (related("application/dicom"), BIG, f"multipart application/dicom {EXPLICIT}"),
        (related("application/dicom"), J2K, f"multipart application/dicom {J2K}"),
        # Weasis, without spaces
        ('multipart/related;type="application/dicom";transfer-syntax=*', IMPLICIT,
         f"multipart application/dicom {IMPLICIT}"),
        # dicomtrolley, curl, nothing
        ("*/*", IMPLICIT, f"multipart application/dicom {EXPLICIT}"),
        (None, J2K, f"multipart application/dicom {J2K}"),
        # dcm4che tools on Java
        (JAVA, EXPLICIT, f"multipart application/dicom {EXPLICIT}"),
        (JAVA_OLD, EXPLICIT, f"multipart application/dicom {EXPLICIT}"),
        # ez-wsi: parameters the other way round, single part
        (f'multipart/related; transfer-syntax={J2K}; type="application/dicom"', J2K,
         f"multipart application/dicom {J2K}"),
        (f"application/dicom; transfer-syntax={J2K}", J2K, f"single application/dicom {J2K}"),
        ("application/dicom; transfer-syntax=*", BIG, f"single application/dicom {BIG}"),
        ("application/dicom", BIG, f"single application/dicom {EXPLICIT}"),
        # what is stored is sent first when any item of the list allows it
        (f"{related('application/dicom', EXPLICIT)}, {related('application/dicom', '*')}",
         IMPLICIT, f"multipart application/dicom {IMPLICIT}"),
        # but not against the caller's own weights
        (f"{related('application/dicom', EXPLICIT)}, {related('application/dicom', '*')};q=0.5",
         IMPLICIT, f"multipart application/dicom {EXPLICIT}"),
        # no compression and no decompression yet
        (related("application/dicom", EXPLICIT), J2K, None),
        (related("application/dicom", J2K), EXPLICIT, None),
        (related("application/dicom", IMPLICIT), EXPLICIT, None),
    ],
)  # fmt: skip
def test_instances_are_answered_as_each_client_needs(
    accept: str | None, stored: str, answer: str | None
) -> None:
    assert chosen(accept, dicom_offers(TRANSFER_SYNTAXES[stored], single=True)) == answer


def test_several_instances_are_never_a_single_part() -> None:
    offers = dicom_offers(TRANSFER_SYNTAXES[EXPLICIT], single=False)
    assert chosen("application/dicom", offers) is None
    assert chosen("*/*", offers) == f"multipart application/dicom {EXPLICIT}"


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        ("*/*", f"single application/octet-stream {EXPLICIT}"),
        ("application/octet-stream", f"single application/octet-stream {EXPLICIT}"),
        ("application/octet-stream; transfer-syntax=*",
         f"single application/octet-stream {EXPLICIT}"),
        (related("application/octet-stream"), f"multipart application/octet-stream {EXPLICIT}"),
        ('multipart/related; type="*/*"', f"multipart application/octet-stream {EXPLICIT}"),
        ("image/jpeg", None),
    ],
)  # fmt: skip
def test_a_bulk_value_is_sent_by_itself_unless_multipart_is_asked(
    accept: str, answer: str | None
) -> None:
    offers = bulkdata_offers(TRANSFER_SYNTAXES[J2K], pixels=False)
    assert chosen(accept, offers) == answer


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        ("application/dicom+json, application/json", "single application/dicom+json"),
        ("application/dicom+json", "single application/dicom+json"),
        ("application/json", "single application/json"),
        ("application/dicom json", "single application/dicom+json"),
        ("APPLICATION/DICOM+JSON;CHARSET=UTF-8", "single application/dicom+json"),
        ("*/*", "single application/dicom+json"),
        ("application/*", "single application/dicom+json"),
        (JAVA, "single application/dicom+json"),
        (JAVA_OLD, "single application/dicom+json"),
        (None, "single application/dicom+json"),
        ("", "single application/dicom+json"),
        ("application/dicom+xml", None),
        ("application/dicom+json;q=0", None),
        ("application/dicom+json;q=0, */*", "single application/json"),
    ],
)
def test_metadata_is_dicom_json(accept: str | None, answer: str | None) -> None:
    assert chosen(accept, METADATA_OFFERS) == answer


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        ("image/jpeg", "image/jpeg"),
        ("image/png", "image/png"),
        ("image/jpg", "image/jpeg"),
        ("image/png, image/jpeg;q=0.9", "image/png"),
        ("image/*", "image/jpeg"),
        ("image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", "image/jpeg"),
        ("image/gif", "image/gif"),
        ("image/webp", None),
        (related("application/octet-stream"), None),
    ],
)
def test_rendered_is_an_image_as_browsers_ask(accept: str, answer: str | None) -> None:
    offer = choose(parse_accept(accept), RENDERED_OFFERS)
    assert (offer and offer.media_type) == answer


@pytest.mark.parametrize("header", ["*/*", related("application/octet-stream"), None])
def test_the_accept_parameter_beats_the_header(header: str | None) -> None:
    offer = choose(acceptable(["image/png"], header), RENDERED_OFFERS)
    assert offer is not None
    assert offer.media_type == "image/png"


def test_the_accept_parameter_of_a_form_may_have_lost_its_plus() -> None:
    assert acceptable(["application/dicom json"], None)[0].media_type == "application/dicom+json"


@pytest.mark.parametrize(
    "text",
    [
        'multipart/related; type="image/jpeg"; transfer-syntax=1.2',
        "multipart/related; type=image/jpeg; transfer-syntax=1.2",
        'MULTIPART/Related;Transfer-Syntax="1.2";TYPE=Image/JPEG',
        'multipart/related ;  transfer-syntax = 1.2 ; type = "image/jpeg" ; q = 1.000',
        'multipart/related;; boundary=x; type="image/\\jpeg"; transfer-syntax=1.2;',
    ],
)
def test_quotes_order_spacing_and_case_do_not_matter(text: str) -> None:
    assert parse_accept(text) == (MediaRange("image/jpeg", True, "1.2", 1000),)


@pytest.mark.parametrize(
    "malformed",
    [
        "", ";", "image", "/", "image/", "/jpeg", "image/jpeg/2", "image/jpeg;q=2",
        "image/jpeg;q=-1", "image/jpeg;q=high", "image/jpeg;q=", "image/jpeg;q=.",
        "image/jpeg;q=0.5.5", "image/jpeg;transfer-syntax=", "image/jpeg;transfer-syntax=$",
        'multipart/related;type=""', "multipart/related;type=jpeg", "imäge/jpeg", "ima\r\nge/jpeg",
    ],
)  # fmt: skip
def test_a_malformed_piece_is_skipped_and_spoils_nothing(malformed: str) -> None:
    assert parse_accept(malformed) == ()
    found = parse_accept(f"{malformed}, image/png;q=0.5, {malformed}")
    assert found == (MediaRange("image/png", False, None, 500),)


def test_an_open_quote_takes_the_rest_of_the_list_only() -> None:
    found = parse_accept('image/png, image/jpeg;x="a, text/html')
    assert [one.media_type for one in found] == ["image/png", "image/jpeg"]


def test_a_comma_in_quotes_divides_nothing() -> None:
    assert len(parse_accept('image/png;x="a,b;c=d", image/jpeg')) == 2


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        ("image/jpeg;q=0.1, */*;q=0.9", "image/png"),
        ("*/*, image/jpeg;q=0", "image/png"),
        ("image/*;q=0, image/png", "image/png"),
        ("image/jpeg;q=0.5, image/jpeg;q=0.9, image/png;q=0.7", "image/jpeg"),
        ("image/jpeg;q=0.0004", None),
    ],
)
def test_the_most_specific_range_gives_the_quality(accept: str, answer: str | None) -> None:
    offer = choose(parse_accept(accept), RENDERED_OFFERS)
    assert (offer and offer.media_type) == answer


@pytest.mark.parametrize(
    "accept",
    [
        "multipart/related;q=0, */*",
        "*/*, multipart/*; q=0",
        'multipart/related; type="*/*"; q=0.5, */*',
    ],
)
def test_any_multipart_message_is_more_specific_than_anything(accept: str) -> None:
    offers = frame_offers(TRANSFER_SYNTAXES[JPEG], single=True)
    assert chosen(accept, offers) == f"single image/jpeg {JPEG}"


@pytest.mark.parametrize(
    "piece", ['"', "\\", '"\\"', ",", ";", "=", "a/b,", "*/*;q=.2,", '";"\\', " ", "a/b;", '="']
)
def test_reading_takes_linear_time(piece: str) -> None:
    def seconds(length: int) -> float:
        text = piece * (length // len(piece))
        started = time.process_time()
        parse_accept(text)
        return time.process_time() - started

    assert min(seconds(64_000) for _ in range(3)) < 0.5


@given(st.text(st.sampled_from('*/+;,="\\ q01.-aimgetyp\x00é'), max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    for found in parse_accept(text):
        assert 0 <= found.quality <= 1000
        assert "/" in found.media_type


_TOKENS = st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyz0123456789-+."), min_size=1)
_RANGES = st.builds(
    MediaRange,
    st.builds("application/{}".format, _TOKENS),
    st.booleans(),
    st.none() | st.just("*") | st.sampled_from([EXPLICIT, JPEG]),
    st.integers(0, 1000),
)


@given(st.lists(_RANGES), st.data())
def test_what_is_written_is_read_again(ranges: list[MediaRange], data: st.DataObject) -> None:
    def written(one: MediaRange) -> str:
        quote = data.draw(st.sampled_from(['"', ""]))
        parameters = [f"q={one.quality / 1000}"]
        if one.multipart:
            parameters.append(f"type={quote}{one.media_type}{quote}")
        if one.transfer_syntax:
            parameters.append(f"transfer-syntax={quote}{one.transfer_syntax}{quote}")
        kind = "multipart/related" if one.multipart else one.media_type
        return ";".join([kind, *data.draw(st.permutations(parameters))])

    assert parse_accept(", ".join(map(written, ranges))) == tuple(ranges)


@pytest.mark.parametrize("uid", list(TRANSFER_SYNTAXES))
def test_as_stored_can_always_be_had(uid: str) -> None:
    stored = TRANSFER_SYNTAXES[uid]
    whole = choose(parse_accept("application/dicom; transfer-syntax=*"),
                   dicom_offers(stored, single=True))  # fmt: skip
    frame = choose(parse_accept(OHIF), frame_offers(stored, single=False))
    assert whole is not None
    assert whole.transfer_syntax_uid == uid
    assert frame is not None
    assert frame.as_stored


@pytest.mark.parametrize("uid", list(TRANSFER_SYNTAXES))
def test_implicit_and_big_endian_are_sent_only_when_asked(uid: str) -> None:
    stored = TRANSFER_SYNTAXES[uid]
    for offers in (dicom_offers(stored, single=True), frame_offers(stored, single=True)):
        offer = choose(parse_accept("*/*"), offers)
        assert offer is not None
        assert offer.transfer_syntax_uid not in {IMPLICIT, BIG, DEFLATED}


def test_the_content_type_names_the_transfer_syntax() -> None:
    offer = Offer("image/jpeg", True, JPEG)
    assert offer.content_type == "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50"
    assert Offer("image/png").content_type == "image/png"
