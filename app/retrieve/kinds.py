"""What kind of thing an instance is to look at, and as what it is shown (PS3.18 8.7.4)."""

from enum import Enum, auto

from app.dicom.mediatypes import PDF, Offer
from app.dicom.pixels import DECODED
from app.dicom.report import HTML, REPORT_CLASSES, TEXT, XML
from app.dicom.softcopy import STATES
from app.dicom.uids import TRANSFER_SYNTAXES, TransferSyntax
from app.errors import NotFound
from app.index.instances import StoredInstance
from app.retrieve.rendering import FRAME_OFFERS
from app.retrieve.service import require_frames

DOCUMENTS = {
    "1.2.840.10008.5.1.4.1.1.104.1": PDF,
    "1.2.840.10008.5.1.4.1.1.104.2": "text/xml",
    "1.2.840.10008.5.1.4.1.1.104.3": "model/stl",
    "1.2.840.10008.5.1.4.1.1.104.4": "model/obj",
    "1.2.840.10008.5.1.4.1.1.104.5": "model/mtl",
}
"""The SOP Classes of encapsulated documents, and what they hold, whatever they say that it is."""


class Kind(Enum):
    """What is done to show an instance."""

    IMAGE = auto()
    """One of its frames is drawn."""
    VIDEO = auto()
    """Its pixel data is sent as it lies."""
    DOCUMENT = auto()
    """The document in it is sent as it lies."""
    STATE = auto()
    """An image that it refers to is drawn as it says."""
    REPORT = auto()
    """Its content is written down."""


def kind_of(instance: StoredInstance) -> Kind:
    """The kind of an instance; what has nothing to look at counts as an image without frames."""
    if instance.sop_class_uid in DOCUMENTS:
        return Kind.DOCUMENT
    if instance.sop_class_uid.startswith(REPORT_CLASSES):
        return Kind.REPORT
    if instance.sop_class_uid in STATES:
        return Kind.STATE
    return Kind.VIDEO if _syntax(instance).video else Kind.IMAGE


def rendered_offers(instance: StoredInstance) -> tuple[Offer, ...]:
    """As what an instance can be shown, in order of preference; () if there is nothing to show."""
    match kind_of(instance):
        case Kind.IMAGE:
            is_shown = instance.number_of_frames and instance.transfer_syntax_uid in DECODED
            return FRAME_OFFERS if is_shown else ()
        case Kind.STATE:
            return FRAME_OFFERS
        case Kind.VIDEO:
            return (Offer(_syntax(instance).media_type),)
        case Kind.DOCUMENT:
            return (Offer(DOCUMENTS[instance.sop_class_uid]),)
        case Kind.REPORT:
            return Offer(HTML), Offer(TEXT), Offer(XML)


def require_image(instance: StoredInstance, number: int) -> None:
    """Raise `NotFound` unless the instance has a frame of this number that is by itself."""
    require_frames(instance, number)
    if _syntax(instance).video:
        raise NotFound("There are no images in the instance: it is a video.")


def _syntax(instance: StoredInstance) -> TransferSyntax:
    return TRANSFER_SYNTAXES[instance.transfer_syntax_uid]
