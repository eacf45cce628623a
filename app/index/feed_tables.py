"""The tables of the feeds of the audit: the audit itself is what they have to send."""

from datetime import datetime

from sqlalchemy import BigInteger, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from app.index.columns import moment, now


class AuditFeed(SQLModel, table=True):
    """One feed: which process sends it, and how that goes."""

    __tablename__ = "audit_feed"

    name: str = Field(sa_type=Text, primary_key=True)
    holder: str | None = Field(default=None, sa_type=Text)
    """The process that sends it, until its lease is over."""
    held_until: datetime | None = moment()
    sent_at: datetime | None = moment()
    failing_since: datetime | None = moment()
    failure: str | None = Field(default=None, sa_type=Text)
    subtypes: list[str] | None = Field(default=None, sa_type=ARRAY(Text))
    """Of what it sends, which are records of what went well; null for all there is."""


class AuditFeedPlace(SQLModel, table=True):
    """Up to which record of a chain a feed has been sent."""

    __tablename__ = "audit_feed_place"

    feed: str = Field(sa_type=Text, primary_key=True)
    partition_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    sequence: int = Field(sa_type=BigInteger)
    sent_at: datetime = now()
