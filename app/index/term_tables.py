"""The tables of terms (see `app.dicom.terms`): made from the others, and can be made again.

    study ──── study_terms       of the study's attributes
    series ─┬─ series_terms      of the series' attributes
            └─ instance_terms    of at least one of its instances, now or earlier
    indexed                      up to where the log of changes has been followed

One row for all instances of a series, since most of them say the same: of a thousand million
instances that is some ten million rows. There are no foreign keys: to follow the log locks nothing
that a store waits for, and of what is not there any more a row does no harm.
"""

from typing import Any

from sqlalchemy import BigInteger, Index
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel


def _id() -> Any:
    return Field(sa_type=BigInteger, primary_key=True, sa_column_kwargs={"autoincrement": False})


def _terms() -> Any:
    return Field(sa_type=ARRAY(BigInteger), sa_column_kwargs={"nullable": False})


class StudyTerms(SQLModel, table=True):
    """What is true of a study."""

    __tablename__ = "study_terms"
    __table_args__ = (Index("terms_of_study", "terms", postgresql_using="gin"),)

    id: int = _id()
    partition_id: int
    terms: list[int] = _terms()


class SeriesTerms(SQLModel, table=True):
    """What is true of a series."""

    __tablename__ = "series_terms"
    __table_args__ = (Index("terms_of_series", "terms", postgresql_using="gin"),)

    id: int = _id()
    partition_id: int
    terms: list[int] = _terms()


class InstanceTerms(SQLModel, table=True):
    """What is true of at least one instance of a series, or was true of one that is replaced."""

    __tablename__ = "instance_terms"
    __table_args__ = (Index("terms_of_instances", "terms", postgresql_using="gin"),)

    id: int = _id()
    partition_id: int
    terms: list[int] = _terms()


class Indexed(SQLModel, table=True):
    """The last change of a partition whose terms are there, with those of all before it."""

    partition_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    transaction_id: int = Field(sa_type=BigInteger)
    sequence: int = Field(sa_type=BigInteger)
