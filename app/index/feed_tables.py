"""The tables of the feeds of the audit: the audit itself is what they have to send."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Text, func
from sqlmodel import Field, SQLModel


def _moment() -> Any:
    return Field(default=None, sa_type=DateTime(timezone=True))


class AuditFeed(SQLModel, table=True):
    """One feed: which process sends it, and how that goes."""

    __tablename__ = "audit_feed"

    name: str = Field(sa_type=Text, primary_key=True)
    holder: str | None = Field(default=None, sa_type=Text)
    """The process that sends it, until its lease is over."""
    held_until: datetime | None = _moment()
    sent_at: datetime | None = _moment()
    failing_since: datetime | None = _moment()
    failure: str | None = Field(default=None, sa_type=Text)


class AuditFeedPlace(SQLModel, table=True):
    """Up to which record of a chain a feed has been sent."""

    __tablename__ = "audit_feed_place"

    feed: str = Field(sa_type=Text, primary_key=True)
    partition_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    sequence: int = Field(sa_type=BigInteger)
    sent_at: datetime = Field(
        sa_type=DateTime(timezone=True),
        sa_column_kwargs={"server_default": func.now(), "nullable": False},
    )
