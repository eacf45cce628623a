"""The table of emergency overrides."""

from datetime import datetime

from sqlalchemy import DateTime, Index, Text
from sqlmodel import Field, SQLModel

from app.index.columns import identity, moment, now


class EmergencyOverride(SQLModel, table=True):
    """What a caller has opened in an emergency: one study or one patient, until it is ended."""

    __tablename__ = "emergency_override"
    __table_args__ = (
        Index("emergency_override_of_subject", "partition_id", "subject", "opened_at"),
    )

    id: int | None = identity()
    partition_id: int = Field(foreign_key="partition.id")
    subject: str = Field(sa_type=Text)
    """The caller, as grants name it."""
    opened_by: str = Field(sa_type=Text)
    """The caller's name."""
    reason: str = Field(sa_type=Text)
    study_instance_uid: str | None = Field(default=None, sa_type=Text)
    patient_id: str | None = Field(default=None, sa_type=Text)
    issuer_of_patient_id: str | None = Field(default=None, sa_type=Text)
    opened_at: datetime = now()
    expires_at: datetime = Field(sa_type=DateTime(timezone=True))
    ended_at: datetime | None = moment()
    """When it was ended and the audit told so; null while it is open, and a moment longer."""
