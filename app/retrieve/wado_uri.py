"""`UriRequest`: what the parameters of a request to the URI Service ask for (PS3.18 9.4, 9.5).

Rules:
- The parameters alone decide. What clients of this service send as Accept is that of another one,
  or of a browser.
- A parameter that can be understood and not be honoured is refused, if passing over it would show
  or send what was not asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.dicom import normal
from app.dicom.annotation import Topic
from app.dicom.mediatypes import ANY, DICOM, MediaRange, Offer, choose, parse_accept
from app.dicom.presentation import Window
from app.dicom.uids import valid_uid
from app.dicom.viewport import LONGEST_SIDE, Viewport
from app.errors import InvalidParameter, NotAcceptable
from app.index.instances import StoredInstance
from app.retrieve.kinds import Kind, kind_of, rendered_offers
from app.retrieve.rendering import Rendering, colour_space_of, quality_of, topics_of
from app.retrieve.service import Target

WADO = "WADO"

_REFUSED = {
    "anonymize": "objects cannot be de-identified by this archive",
}


@dataclass(frozen=True, slots=True)
class UriRequest:
    """One request; all of its syntax is in order."""

    target: Target
    accepted: Sequence[MediaRange]
    """The media types of `contentType`, in the order given."""
    transfer_syntax: str | None
    frame_number: int | None
    rows: int | None
    columns: int | None
    region: tuple[float, float, float, float] | None
    """Left, top, right and bottom, of an image that is 1 by 1."""
    window: Window | None
    quality: int | None
    topics: tuple[Topic, ...]
    profile: str | None
    """As it was asked for; whether it can be depends on the media type."""
    warnings: tuple[str, ...]
    state: Target | None
    """The presentation state that says how it is shown."""

    @classmethod
    def parse(cls, parameters: Mapping[str, str]) -> "UriRequest":
        """Raises `InvalidParameter`."""
        if _required(parameters, "requestType") != WADO:
            raise InvalidParameter("requestType", parameters["requestType"], f"must be {WADO}")
        for name, why in _REFUSED.items():
            if parameters.get(name, "no") != "no":
                raise InvalidParameter(name, parameters[name], why)
        topics, warnings = topics_of(parameters.get("annotation"))
        return cls(
            Target(*(_uid(parameters, name) for name in ("studyUID", "seriesUID", "objectUID"))),
            parse_accept(parameters.get("contentType") or ANY),
            _transfer_syntax(parameters),
            _number(parameters, "frameNumber", 2**31),
            _number(parameters, "rows", LONGEST_SIDE),
            _number(parameters, "columns", LONGEST_SIDE),
            _region(parameters.get("region")),
            _window(parameters),
            quality_of(parameters.get("imageQuality"), "imageQuality"),
            topics,
            parameters.get("iccprofile"),
            warnings,
            _state(parameters),
        )

    def offer(self, instance: StoredInstance) -> Offer:
        """What the instance is sent as. Raises `NotAcceptable`, `InvalidParameter`.

        It is shown, unless it is asked for as it is; what has nothing to show is sent as it is.
        """
        # A presentation state is a parameter here, and not what is shown.
        shown = () if kind_of(instance) is Kind.STATE else rendered_offers(instance)
        offers = [*shown, Offer(DICOM)]
        preferred = sorted(self.accepted, key=lambda asked: -asked.quality)
        found = (choose([asked], offers) for asked in preferred)
        offer = next((one for one in found if one is not None), None)
        if offer is None:
            kinds = ", ".join(one.media_type for one in offers)
            raise NotAcceptable(f"The instance can be sent as: {kinds}")
        if self.transfer_syntax is not None and offer.media_type != DICOM:
            raise InvalidParameter(
                "transferSyntax", self.transfer_syntax, f"is of {DICOM} and of nothing else"
            )
        return offer

    def rendering(self, media_type: str, instance: StoredInstance, largest: int) -> Rendering:
        """How a frame of the instance is shown, on at most `largest` pixels."""
        return Rendering(
            media_type,
            self.window,
            self._viewport(instance, largest),
            self.quality,
            self.topics,
            colour_space_of(self.profile, media_type),
            self.warnings,
        )

    def _viewport(self, instance: StoredInstance, largest: int) -> Viewport | None:
        if self.region is None and self.rows is None and self.columns is None:
            return None
        if self.state is not None:  # of which nobody knows here how large it is
            return Viewport(self.columns or LONGEST_SIDE, self.rows or LONGEST_SIDE)
        height, width = instance.rows or 1, instance.columns or 1
        left, top, right, bottom = self.region or (0.0, 0.0, 1.0, 1.0)
        first_column, region_width = _pixels(left, right, width)
        first_row, region_height = _pixels(top, bottom, height)
        factors = [
            asked / size
            for asked, size in ((self.columns, region_width), (self.rows, region_height))
            if asked is not None
        ]
        factor = min(factors, default=1.0)
        columns = max(round(region_width * factor), 1)
        rows = max(round(region_height * factor), 1)
        if rows * columns > largest or max(rows, columns) > LONGEST_SIDE:
            name = "columns" if self.rows is None else "rows"
            raise InvalidParameter(name, f"{columns} x {rows}", f"are more than {largest} pixels")
        return Viewport(columns, rows, first_column, first_row, region_width, region_height)


def _pixels(start: float, end: float, size: int) -> tuple[int, int]:
    """The first pixel of a part of a side, and how many there are: one at least."""
    first = min(round(start * size), size - 1)
    return first, max(round(end * size) - first, 1)


def _required(parameters: Mapping[str, str], name: str) -> str:
    value = parameters.get(name)
    if not value:
        raise InvalidParameter(name, "", "is missing")
    return value


def _uid(parameters: Mapping[str, str], name: str) -> str:
    uid = _required(parameters, name)
    if not valid_uid(uid):
        raise InvalidParameter(name, uid, "is no UID")
    return uid


def _state(parameters: Mapping[str, str]) -> Target | None:
    names = "presentationSeriesUID", "presentationUID"
    if not any(name in parameters for name in names):
        return None
    for name in ("windowCenter", "windowWidth", "region"):
        if name in parameters:
            raise InvalidParameter(name, parameters[name], "is decided by the presentation state")
    return Target(_uid(parameters, "studyUID"), *(_uid(parameters, name) for name in names))


def _transfer_syntax(parameters: Mapping[str, str]) -> str | None:
    uid = parameters.get("transferSyntax")
    if uid is not None and uid != "*" and not valid_uid(uid):
        raise InvalidParameter("transferSyntax", uid, "is no UID")
    return uid


def _number(parameters: Mapping[str, str], name: str, most: int) -> int | None:
    text = parameters.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and 1 <= int(text) <= most):
        raise InvalidParameter(name, text, f"must be an integer from 1 to {most}")
    return int(text)


def _decimal(name: str, text: str) -> float:
    number = normal.decimal(text)
    if number is None:
        raise InvalidParameter(name, text, "must be a number")
    return number


def _window(parameters: Mapping[str, str]) -> Window | None:
    names = "windowCenter", "windowWidth"
    given = [parameters[name] for name in names if name in parameters]
    if not given:
        return None
    if len(given) == 1:
        missing = next(name for name in names if name not in parameters)
        raise InvalidParameter(missing, "", "is missing: center and width are a pair")
    center, width = map(_decimal, names, given)
    window = Window(center, width)
    if not window.usable:
        raise InvalidParameter("windowWidth", given[1], "is too small")
    return window


def _region(text: str | None) -> tuple[float, float, float, float] | None:
    if text is None:
        return None
    edges = [edge for edge in map(normal.decimal, text.split(",")) if edge is not None]
    if len(edges) != 4 or text.count(",") != 3:
        raise InvalidParameter("region", text, "must be xmin,ymin,xmax,ymax")
    left, top, right, bottom = edges
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise InvalidParameter("region", text, "must lie between 0 and 1 and have an area")
    return left, top, right, bottom
