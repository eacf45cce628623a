"""Coercions of what is stored, where the settings ask for some (`app.dicom.coercion`).

Rules:
- Where nothing is to be changed the bytes stay those that came, and cost no more than a look.
- What is changed is written anew, a piece at a time, and walked like what came. The limits are the
  sender's: what is added here does not count.
- A character set is declared only if all text can be understood by it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from app.blobs.spool import Spool
from app.dicom.coercion import CHARACTER_SET, Coercions, Note, coerced, understood, wanted
from app.dicom.dataset import Attributes
from app.dicom.encoding import encoding_of
from app.dicom.instance import SopInstance
from app.dicom.part10 import read_file_meta
from app.settings import Settings

PIECE = 1024 * 1024
"""Bytes that are copied at a time."""


@dataclass(frozen=True, slots=True)
class Coerced:
    """That an instance was changed, and how."""

    item: Attributes
    """What was before, as an item of Original Attributes Sequence."""
    received: bytes
    """SHA-256 of the file as it came."""


def configured(settings: Settings) -> Coercions | None:
    """What the settings ask for; None for nothing."""
    asked = Coercions(settings.coerce_issuer_of_patient_id, settings.coerce_character_set)
    return None if asked == Coercions() else asked


def coerce(
    spool: Spool, sop: SopInstance, coercions: Coercions, walk: Callable[[Spool], SopInstance]
) -> tuple[SopInstance, Coerced | None]:
    """What becomes of an instance in a spool, which holds it then. Raises `BlobsFull`.

    `walk` reads an instance, and raises `Unreadable`.
    """
    if sop.transfer_syntax.deflated:
        return sop, None
    start = read_file_meta(spool).end
    encoding = encoding_of(sop.transfer_syntax)
    changes = wanted(spool, start, encoding, sop.dataset, coercions)
    while changes:
        note = Note(datetime.now(UTC), spool.sha256)
        with spool.beside(hashed=True) as changed:
            for piece in coerced(spool, start, encoding, changes, note):
                if isinstance(piece, bytes):
                    changed.write(piece)
                    continue
                for offset in range(piece.offset, piece.end, PIECE):
                    changed.write(spool.read_at(offset, min(piece.end - offset, PIECE)))
            made = walk(changed)
            declared = any(change.tag == CHARACTER_SET for change in changes)
            if not declared or understood(made.dataset):
                spool.take_over(changed)
                return made, Coerced(note.attributes(changes), note.sha256)
        changes = [change for change in changes if change.tag != CHARACTER_SET]
    return sop, None
