"""`objects_of`: what a record of the audit names of what was stored."""

from collections.abc import Sequence

from app.audit.event import Objects
from app.store.outcomes import Outcome, Stored


def objects_of(outcomes: Sequence[Outcome]) -> list[Objects]:
    """Of each study of which something is stored, the series and the instance if it is one."""
    of_studies: dict[str, list[Stored]] = {}
    for outcome in outcomes:
        if isinstance(outcome, Stored):
            of_studies.setdefault(outcome.study_instance_uid, []).append(outcome)
    return [Objects(study, *_one_of(stored)) for study, stored in of_studies.items()]


def _one_of(stored: Sequence[Stored]) -> tuple[str | None, str | None]:
    """The series and the instance of a study that were stored, each if it is only one."""
    series = {outcome.series_instance_uid for outcome in stored}
    instances = {outcome.sop_instance_uid for outcome in stored}
    return (
        series.pop() if len(series) == 1 else None,
        instances.pop() if len(instances) == 1 else None,
    )
