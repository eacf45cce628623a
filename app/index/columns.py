"""Kinds of columns that many tables have."""

from typing import Any

from sqlalchemy import BigInteger, DateTime, Identity, Integer, Text, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field


def identity() -> Any:
    """The number of a row, which the database gives it."""
    return Field(default=None, sa_type=BigInteger, primary_key=True, sa_column_args=[Identity()])


def number(start: int, kind: type[Integer] = Integer) -> Any:
    """A number that counts from `start` on."""
    return Field(
        default=start,
        sa_type=kind,
        sa_column_kwargs={"server_default": str(start), "nullable": False},
    )


def now() -> Any:
    """The moment at which the row was made, by the clock of the database."""
    return Field(
        default=None,
        sa_type=DateTime(timezone=True),
        sa_column_kwargs={"server_default": func.now(), "nullable": False},
    )


def moment() -> Any:
    """A moment, or null as long as it has not come."""
    return Field(default=None, sa_type=DateTime(timezone=True))


def texts() -> Any:
    """A list of texts, which may be empty and is never null."""
    return Field(sa_type=ARRAY(Text), sa_column_kwargs={"server_default": "{}", "nullable": False})
