"""`Body`: what a request asks for in JSON, taken for what it says and nothing near it.

A number is no text and no truth value, nor the other way round, and what is not known is refused.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, TypeVar

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field


class Body(BaseModel):
    """The base of what routes are asked in JSON; the docstring of a field describes it."""

    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)


def _moment(given: object) -> object:
    return datetime.fromisoformat(given) if isinstance(given, str) else given


Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]
"""A date and time as ISO 8601 writes it, with its time zone."""

Named = TypeVar("Named", bound=StrEnum)
OneOf = Annotated[Named, Field(strict=False)]
"""One of the values of an enumeration."""
