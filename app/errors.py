"""Every error that the archive raises on purpose.

    ArchiveError
    ├── BadRequest              the caller said something that cannot be understood
    │   └── InvalidParameter    ... in one named parameter
    ├── NotAcceptable           nothing that the caller accepts can be made
    ├── UnsupportedMediaType    the body is of a type that the resource does not take
    ├── TooLarge                a limit of the archive is exceeded
    ├── NotFound                there is no such thing, as far as this caller may know
    ├── Gone                    it was here and has been deleted
    ├── Conflict                the request contradicts what is stored
    ├── Unauthenticated         the caller did not prove who they are
    ├── Forbidden               the caller is known and may not do this
    ├── TooOften                the caller asks for it more often than anybody may
    ├── Unprocessable           the object is stored, but this cannot be made from it
    ├── Unavailable             try again later
    │   └── TooBusy             ... because too much is running already
    └── Corrupt                 stored bytes are not what was stored

No error carries a protocol code: `app.web.errors` maps each class to its HTTP status, and a
later DIMSE door will map the same classes to its own. `str(error)` is safe to show to the caller.
Of any other error the log is told its `places` alone: what it says may quote a patient.
"""

import secrets
import traceback


class ArchiveError(Exception):
    """The archive could not do what was asked."""

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or type(self).__doc__)


class BadRequest(ArchiveError):
    """The request cannot be understood."""


class InvalidParameter(BadRequest):
    """A parameter of the request has a value that cannot be used."""

    def __init__(self, name: str, value: str, why: str) -> None:
        super().__init__(f"{name}={value[:128]!r}: {why}")
        self.name = name
        self.why = why


class NotAcceptable(ArchiveError):
    """None of the representations that the caller accepts can be made."""


class UnsupportedMediaType(ArchiveError):
    """The resource does not take a body of this media type."""


class TooLarge(ArchiveError):
    """The request is larger than this archive allows."""


class NotFound(ArchiveError):
    """There is no such object."""


class Gone(ArchiveError):
    """The object has been deleted."""


class Conflict(ArchiveError):
    """The request contradicts what is stored."""


class Unauthenticated(ArchiveError):
    """A valid access token is needed."""


class Forbidden(ArchiveError):
    """The access token does not allow this."""


class TooOften(ArchiveError):
    """This was asked for more often than anybody may."""

    def __init__(self, retry_after: int) -> None:
        super().__init__()
        self.retry_after = retry_after
        """Seconds after which a new try makes sense."""


class Unprocessable(ArchiveError):
    """The stored object does not allow what was asked of it."""


class Unavailable(ArchiveError):
    """The archive cannot answer at the moment; try again later."""

    def __init__(self, detail: str | None = None, *, retry_after: int = 5) -> None:
        super().__init__(detail)
        self.retry_after = retry_after
        """Seconds after which a new try makes sense."""


class TooBusy(Unavailable):
    """The archive is doing as much as it can; try again later."""

    def __init__(self, detail: str | None = None) -> None:
        # Not all at the same moment again.
        super().__init__(detail, retry_after=2 + secrets.randbelow(7))


class Corrupt(ArchiveError):
    """Stored bytes are missing or differ from what was stored."""


def for_log(error: BaseException) -> str:
    """What a log may hold of an error: what one of ours says, of any other only its `places`."""
    return str(error) if isinstance(error, ArchiveError) else " > ".join(places(error))


def places(error: BaseException) -> list[str]:
    """Where an error came from, innermost last, without its message or any value."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    before = places(cause) if cause is not None else []
    frames = traceback.extract_tb(error.__traceback__)
    return [
        *before,
        *(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames),
        f"{type(error).__module__}.{type(error).__qualname__}",
    ]
