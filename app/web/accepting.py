"""What a caller accepts: the `accept` parameters of the address, or all Accept headers together.

All text is sent in UTF-8. Who asks for others only, by the `charset` parameter, is refused (PS3.18
8.3.3.2); what else names character sets is a preference, and the answer says what it is in (8.8.5).
"""

from collections.abc import Sequence

from starlette.requests import Request

from app.dicom.mediatypes import MediaRange, acceptable
from app.errors import InvalidParameter

_UTF_8 = {"utf-8", "utf8", "iso_ir 192"}


def accepted_by(request: Request) -> Sequence[MediaRange]:
    """The media ranges (PS3.18 8.3.3 and 8.4.1.3). Raises `BadRequest` for what are none.

    And where a `charset` parameter leaves out UTF-8.
    """
    charsets = ",".join(request.query_params.getlist("charset"))
    if charsets and not any(map(_is_utf_8, charsets.split(","))):
        raise InvalidParameter("charset", charsets, "text is sent in UTF-8 alone")
    headers = ",".join(request.headers.getlist("accept"))
    return acceptable(request.query_params.getlist("accept"), headers)


def _is_utf_8(charset: str) -> bool:
    name, _, weight = charset.partition(";")
    refused = weight.replace(" ", "").rstrip("0.") == "q="
    return name.strip(' "').lower() in _UTF_8 and not refused
