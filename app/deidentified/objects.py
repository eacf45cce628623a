"""De-identified instances as files: a data set that is written anew, and the pixels as they lie."""

from collections.abc import AsyncGenerator

from app.archive import Archive
from app.deidentified.finding import Shown
from app.dicom.deidentification import PIXEL_DATA
from app.dicom.encoder import Piece, encode, header, marker
from app.dicom.encoding import SEQUENCE_END, UNDEFINED
from app.dicom.part10 import file_head
from app.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN, TransferSyntax, transfer_syntax
from app.index.instances import StoredInstance
from app.span import Span


def syntax_of(instance: StoredInstance) -> TransferSyntax:
    """The transfer syntax in which it is sent."""
    stored = instance.transfer_syntax_uid
    return transfer_syntax(stored if instance.encapsulated else EXPLICIT_VR_LITTLE_ENDIAN)


async def file_pieces(archive: Archive, shown: Shown) -> AsyncGenerator[bytes]:
    """The Part 10 file. Raises what the store of blobs does."""
    instance = shown.instance
    assert instance.pixel_offset is not None
    assert instance.pixel_length is not None
    pixels = Span(instance.pixel_offset, instance.pixel_length).shifted(instance.blob_offset)
    compressed = instance.encapsulated
    vr = "OB" if compressed else shown.pixels.get("vr", "OW")
    length = UNDEFINED if compressed else pixels.length + pixels.length % 2
    end = marker(SEQUENCE_END, 0) if compressed else b"\0" * (pixels.length % 2)
    tag = int(PIXEL_DATA, 16)
    ready: dict[int, list[Piece]] = {tag: [*header(tag, vr, length), pixels, end]}
    uid = shown.attributes["00080018"]["Value"][0]
    head = file_head(syntax_of(instance).uid, instance.sop_class_uid, uid)
    waiting = [head]
    for piece in encode(shown.attributes, lambda _: None, ready):
        if isinstance(piece, bytes):
            waiting.append(piece)
            continue
        yield b"".join(waiting)
        waiting = []
        async for data in archive.blobs.stream(instance.blob_key, piece):
            yield data
    yield b"".join(waiting)
