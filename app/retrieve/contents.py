"""What the parts of a message are made of: where bytes lie, and what is done to them on the way.

Spans count from the first byte of the blob, or, of an instance that was stored deflated, from the
first byte of the inflated file.
"""

from dataclasses import dataclass, replace

from app.blobs.contract import CHUNK
from app.dicom.description import whole_words
from app.dicom.frames import native_span
from app.dicom.recoding import Recoding
from app.dicom.uids import transfer_syntax
from app.fingerprint import Fingerprint
from app.index.instances import FrameTable, StoredInstance
from app.span import Span


@dataclass(frozen=True, slots=True)
class Plain:
    """Bytes that are sent as they lie."""

    key: str
    span: Span
    fingerprint: Fingerprint | None = None
    """Of a whole instance: it is sent only if its bytes are those that were stored."""

    @property
    def length(self) -> int:
        """How many bytes will be sent."""
        return self.span.length


@dataclass(frozen=True, slots=True)
class Fragments:
    """The items of one compressed frame, which are sent without their headers."""

    key: str
    span: Span

    @property
    def length(self) -> None:
        """Not known until the headers of the items have been read."""
        return


@dataclass(frozen=True, slots=True)
class Reworked:
    """Native bytes that change on the way: big-endian words, frames that begin inside a byte.

    After the words of `word` bytes in `span` have been reversed, `bits` bits are sent, beginning
    with bit `shift`; the lowest bit of the first byte is number 0. A last byte is filled with 0.
    """

    key: str
    span: Span
    word: int
    shift: int
    bits: int

    @property
    def length(self) -> int:
        """How many bytes will be sent."""
        return -(-self.bits // 8)


@dataclass(frozen=True, slots=True)
class Transcoded:
    """A whole native instance, which is rewritten in `target`, explicit or deflated."""

    key: str
    span: Span
    inflates: bool
    """Whether it was stored deflated, and may become any length."""
    target: str
    fingerprint: Fingerprint
    """Of the instance as it was stored."""

    @property
    def length(self) -> None:
        """Not known until it has been rewritten."""
        return


@dataclass(frozen=True, slots=True)
class RecodedFrame:
    """A frame whose pixels are decoded, and encoded if that is asked."""

    key: str
    span: Span
    """Of its items, or of its native bytes."""
    first_bit: int
    """Of a native frame, where it begins in the first byte."""
    recoding: Recoding

    @property
    def length(self) -> None:
        """Not known until it has been made."""
        return


@dataclass(frozen=True, slots=True)
class RecodedInstance:
    """A whole instance, or its pixel data, whose frames are recoded one after the other."""

    instance: StoredInstance
    recoding: Recoding
    entries: FrameTable | None
    """Where the items of compressed frames lie, counted from the first byte of the instance."""
    pixels_only: bool = False
    """Whether the value of Pixel Data is sent alone."""

    @property
    def key(self) -> str:
        """Where it is stored."""
        return self.instance.blob_key

    @property
    def span(self) -> Span:
        """Of the instance in the blob."""
        return whole_of(self.instance).span

    @property
    def length(self) -> None:
        """Not known until it has been made."""
        return

    def frame(self, number: int) -> RecodedFrame:
        """Frame `number`, from 1."""
        return recoded_frame(self.instance, number, self.entries, self.recoding)


@dataclass(frozen=True, slots=True)
class Inflated:
    """Content of an instance that was stored deflated, which has to be inflated for it."""

    instance: StoredInstance
    content: Plain | Reworked

    @property
    def key(self) -> str:
        """Where the instance is stored."""
        return self.content.key

    @property
    def span(self) -> Span:
        """Of the inflated file."""
        return self.content.span

    @property
    def length(self) -> int:
        """How many bytes will be sent."""
        return self.content.length


Content = Plain | Fragments | Reworked | Transcoded | RecodedFrame | RecodedInstance | Inflated
MadeElsewhere = RecodedFrame | RecodedInstance | Inflated
"""What cannot be read of the blob alone; see `app.retrieve.recoded`."""


def origin_of(instance: StoredInstance) -> int:
    """Where the first byte of the instance is, where its spans are read."""
    deflated = transfer_syntax(instance.transfer_syntax_uid).deflated
    return 0 if deflated else instance.blob_offset


def whole_of(instance: StoredInstance) -> Plain:
    """The instance as it was stored."""
    span = Span(instance.blob_offset, instance.length)
    return Plain(instance.blob_key, span, instance.fingerprint)


def recoded_frame(
    instance: StoredInstance, number: int, entries: FrameTable | None, recoding: Recoding
) -> RecodedFrame:
    """Frame `number` of an instance, from 1. `entries`: of its frames, if they are compressed."""
    if entries is not None:
        span, first_bit = entries[number - 1], 0
    else:
        assert instance.pixel_offset is not None
        assert instance.frame_bits is not None
        span, first_bit = native_span(instance.pixel_offset, instance.frame_bits, number)
        span, first_bit = whole_words(span, first_bit, instance.pixel_offset, recoding.description)
    span = span.shifted(origin_of(instance))
    return RecodedFrame(instance.blob_key, span, first_bit, recoding)


def cut(content: Content, span: Span) -> Content:
    """A span of what the content sends; of content whose length is known."""
    match content:
        case Plain():
            fingerprint = content.fingerprint if span.length == content.length else None
            return Plain(content.key, span.shifted(content.span.offset), fingerprint)
        case Reworked():
            shift = content.shift + 8 * span.offset
            bits = min(8 * span.length, content.bits - 8 * span.offset)
            return replace(content, shift=shift, bits=bits)
        case Inflated():
            inner = cut(content.content, span)
            assert isinstance(inner, Plain | Reworked)
            return replace(content, content=inner)
        case _:
            raise ValueError("the length of this content is not known")


def is_small(content: Content, limit: int = CHUNK) -> bool:
    """Whether the content can be read, and made, at once."""
    if isinstance(content, MadeElsewhere):
        return False
    inflates = isinstance(content, Transcoded) and content.inflates
    return content.span.length <= limit and not inflates
