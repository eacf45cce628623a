"""What is written in pieces, since it is long, is what would be written at once."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings

from app.dicom import jsonmodel
from app.dicom.dataset import Unreadable
from app.dicom.instance import read_instance
from app.dicom.mediatypes import DICOM_JSON, DICOM_XML
from app.dicom.source import BytesSource
from app.errors import Corrupt
from app.retrieve.metadata_forms import Form
from tests.unit.dicom import files
from tests.unit.dicom.models import DATA_SETS, Attributes

URL = "http://archive/studies/1/series/2/instances/3"
FORMS = [Form(DICOM_XML), Form(DICOM_XML, frozenset({"00711000"})), Form(DICOM_JSON)]


@pytest.mark.parametrize("form", FORMS, ids=str)
@hypothesis_settings(deadline=None)
@given(DATA_SETS)
def test_the_pieces_are_the_document(form: Form, attributes: Attributes) -> None:
    packed = jsonmodel.pack(attributes)
    assert b"".join(form.pieces(packed, URL)) == form.written(packed, URL)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_so_they_are_of_real_files(form: Form) -> None:
    found = 0
    for path in files.FOLDER.glob("*.dcm"):
        with contextlib.suppress(Unreadable):
            instance = read_instance(BytesSource(path.read_bytes()))
            packed = jsonmodel.pack(instance.dataset.attributes)
            assert b"".join(form.pieces(packed, URL)) == form.written(packed, URL), path.name
            found += 1
    assert found > 50


@pytest.mark.parametrize("length", [1, 40, 1000])
def test_uris_are_absolute_wherever_long_json_is_cut(length: int) -> None:
    bulk = [
        {"00420011": {"vr": "OB", "BulkDataURI": "bulkdata/" + "1" * (length + n % 7)}}
        for n in range(2_000_000 // (length + 60))
    ]
    attributes: Attributes = {"0040A730": {"vr": "SQ", "Value": bulk}}
    pieces = list(Form(DICOM_JSON).pieces(jsonmodel.pack(attributes), URL))
    assert len(pieces) > 1
    assert b"".join(pieces) == jsonmodel.absolute(jsonmodel.dumps(attributes), URL)


def test_long_json_that_is_cut_is_not_sent_as_if_it_were_whole() -> None:
    packed = jsonmodel.pack({"0040A160": {"vr": "UT", "Value": ["x" * 4096]}})
    with pytest.raises(Corrupt):
        list(Form(DICOM_JSON).pieces(packed[:-1], URL))


def test_what_is_long_is_not_written_at_once() -> None:
    text = {"vr": "UT", "Value": ["x" * 4096]}
    items = [{"0040A160": text}] * 300
    attributes = {"0040A730": {"vr": "SQ", "Value": items}, "0040A160": text}
    for form in FORMS:
        assert form.written(jsonmodel.pack({"0040A160": text}), URL) is not None
        assert form.written(jsonmodel.pack(attributes), URL) is None
    document, _, json = (b"".join(form.pieces(jsonmodel.pack(attributes), URL)) for form in FORMS)
    assert document.count(b'<Item number="300">') == 1
    assert document.count(b"x" * 4096) == json.count(b"x" * 4096) == 301
