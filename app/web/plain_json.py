"""What routes of plain JSON have in common: what they are asked, and how they answer.

- A body is taken for what it says and nothing near it: a number is no text and no truth value, nor
  the other way round, and what is not known is refused. So is a text that no database would keep.
- Rows are named and listed by their ids, a page at a time.
- No answer is kept on the way.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from fastapi import Path, Query
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
)
from starlette.responses import JSONResponse, Response

PAGE = 1000
"""Rows that are listed at once."""

RowId = Annotated[int, Path(ge=1, lt=2**63)]
After = Annotated[int, Query(ge=0, lt=2**63)]
"""The id behind which a list goes on."""
Limit = Annotated[int, Query(ge=1, le=PAGE)]
"""How many rows are wanted."""


def _without_nul(text: str) -> str:
    if b"\0" in text.encode():
        raise ValueError("holds a NUL")
    return text


Text = Annotated[str, AfterValidator(_without_nul)]
"""A text that a database keeps: without NUL and halves of surrogate pairs, which have no UTF-8."""


class Body(BaseModel):
    """The base of what routes are asked in JSON; the docstring of a field describes it."""

    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)

    @field_validator("*")
    @classmethod
    def _demand_text(cls, given: Any) -> Any:
        """Refuse what is no `Text`."""
        for one in given if isinstance(given, list) else [given]:
            if isinstance(one, str):
                _without_nul(one)
        return given


def _moment(given: object) -> object:
    if not isinstance(given, str):
        return given
    moment = datetime.fromisoformat(given)
    try:
        moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is out of range") from error
    return moment


Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]
"""A date and time as ISO 8601 writes it, with its time zone."""

Named = TypeVar("Named", bound=StrEnum)
OneOf = Annotated[Named, Field(strict=False)]
"""One of the values of an enumeration."""


def answer(content: Any, status: int = 200) -> Response:
    """An answer that nobody keeps."""
    return JSONResponse(content, status, {"Cache-Control": "no-store"})
