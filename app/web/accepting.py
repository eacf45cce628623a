"""What a caller accepts: the `accept` parameters of the address, or all Accept headers together."""

from collections.abc import Sequence

from starlette.requests import Request

from app.dicom.mediatypes import MediaRange, acceptable


def accepted_by(request: Request) -> Sequence[MediaRange]:
    """The media ranges (PS3.18 8.3.3 and 8.4.1.3). Raises `BadRequest` for what are none."""
    headers = ",".join(request.headers.getlist("accept"))
    return acceptable(request.query_params.getlist("accept"), headers)
