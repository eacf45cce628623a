"""`Restriction`: how the tables look to a caller who may see a part of a partition only.

A statement that reads for such a caller is not another statement. It is the same text, and before
it stand the tables that it names, as common table expressions of the same names:

    WITH study AS NOT MATERIALIZED (SELECT … FROM study WHERE …what the caller is granted…)
    SELECT … FROM study WHERE …

So whatever it selects, counts, sorts or matches, it does so of what the caller may see, and no
statement can forget to. Counts, modalities and revisions that a row keeps of what lies below it are
computed anew where a part of that may be hidden.

Grants say what a caller may see. One of them covers a row if all that it names is so there; a row
is visible if a grant that allows covers it and none that denies does. How deep in the hierarchy the
caller's grants look decides where they are applied: a study is visible if one of its instances is.
That was looked up a moment ago. A grant that looks deeper, and was made since, allows nothing yet,
and denies too much rather than too little: as far as it can be told from what is looked at.

An emergency override that the caller has open shows, whatever is denied, what it names, as far as
the caller's grants to break the glass cover it.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any

from app.index.tables import Series, Study


class Action(StrEnum):
    """What may be granted."""

    SEARCH = "search"
    READ = "read"
    RENDER = "render"
    STORE = "store"
    DELETE = "delete"
    SHARE = "share"
    BREAK_GLASS = "break-glass"
    AUDIT = "audit"
    """To look into the audit of the partition: all of it, or nothing."""


class Depth(IntEnum):
    """The deepest level of which a grant has to know something."""

    STUDY = 0
    SERIES = 1
    INSTANCE = 2


@dataclass(frozen=True, slots=True)
class Patient:
    """A patient that a caller is narrowed to, in normal forms."""

    patient_id: str
    issuer: str | None = None
    """None for any."""


@dataclass(frozen=True, slots=True)
class Restriction:
    """What the grants of one caller are found by."""

    subjects: tuple[str, ...]
    """The caller and its roles; none for who sees all of `studies`, whatever the grants say."""
    action: Action
    depth: Depth
    """Of the deepest of the grants."""
    purpose: str | None = None
    """What the caller asks for (purpose of use)."""
    studies: tuple[str, ...] | None = None
    patients: tuple[str, ...] | None = None
    """The study UIDs and patient IDs that grants name, if all of them name one: then indexes find
    what is visible. They narrow, and never widen."""
    steady: bool = True
    """Whether what is visible stays so until somebody changes a grant."""
    patient: Patient | None = None
    """Of whom alone something is visible."""
    overriding: bool = False
    """Whether the first of the subjects has an emergency override open."""

    @property
    def form(self) -> "_Form":
        """What decides about the text of a statement."""
        of_patient, bounded = self.patient is not None, self.studies is not None
        return self.depth, len(self.subjects), of_patient, bounded, self.overriding

    @property
    def values(self) -> list[Any]:
        """For the parameters that the tables have."""
        values: list[Any] = []
        if self.subjects:
            values += [*self.subjects, self.action.value, self.purpose]
        if self.patient is not None:
            values += [self.patient.patient_id, self.patient.issuer]
        if self.studies is not None:
            values += [list(self.studies), list(self.patients or ())]
        return values

    def narrowed(self, sql: str, tables: Collection[str], first: int, *, joined: bool) -> str:
        """The statement over what the caller may see.

        `tables`: that it names; `first`: the number of the first parameter that is free; `joined`:
        whether rows of study, series and instance are joined wherever two of them are named.
        """
        written = _Writer(self.form, first)
        expressions = ", ".join(
            f"{name} AS NOT MATERIALIZED ({select})"
            for name, select in written.expressions(tables, joined=joined)
        )
        if not expressions:
            return sql
        if sql.startswith("WITH RECURSIVE "):
            raise ValueError("a recursive statement would see these tables within themselves")
        return f"WITH {expressions}{', ' if sql.startswith('WITH ') else ' '}" + sql.removeprefix(
            "WITH "
        )


_Form = tuple[Depth, int, bool, bool, bool]

_LEVELS = ("study", "series", "instance")
_THERE = {"series": "se.number_of_instances > 0", "instance": "i.removed_at IS NULL"}

_MATCHES = {
    Depth.STUDY: (
        "(g.study_instance_uid IS NULL OR g.study_instance_uid = st.study_instance_uid)",
        "(g.patient_id IS NULL OR g.patient_id = st.patient_id)",
        "(g.issuer_of_patient_id IS NULL OR g.issuer_of_patient_id = st.issuer_of_patient_id)",
        "(g.first_date IS NULL OR g.first_date <= st.study_date)",
        "(g.last_date IS NULL OR g.last_date >= st.study_date)",
        "(g.label IS NULL OR g.label = ANY (st.labels))",
    ),
    Depth.SERIES: (
        "(g.series_instance_uid IS NULL OR g.series_instance_uid = se.series_instance_uid)",
        "(g.modality IS NULL OR g.modality = se.modality)",
        "(g.institution IS NULL OR g.institution = se.institution_name)",
    ),
    Depth.INSTANCE: ("(g.sop_class_uid IS NULL OR g.sop_class_uid = i.sop_class_uid)",),
}
"""Whether a grant `g` covers a row, by the level of which it is said."""

_OF_STUDY = {
    "modalities": "ARRAY(SELECT DISTINCT se.modality FROM series AS se WHERE se.study_id = st.id"
    " AND se.number_of_instances > 0 AND se.modality IS NOT NULL ORDER BY 1)",
    "sop_classes": "ARRAY(SELECT DISTINCT i.sop_class_uid FROM instance AS i JOIN series AS se"
    " ON se.id = i.series_id WHERE se.study_id = st.id AND i.removed_at IS NULL ORDER BY 1)",
    "number_of_series": "(SELECT count(*) FROM series AS se"
    " WHERE se.study_id = st.id AND se.number_of_instances > 0)::integer",
    "number_of_instances": "(SELECT coalesce(sum(se.number_of_instances), 0) FROM series AS se"
    " WHERE se.study_id = st.id)::integer",
    "revision": "(SELECT hashtextextended(coalesce(string_agg(se.id || '.' || se.revision, ' '"
    " ORDER BY se.id), ''), 0) FROM series AS se WHERE se.study_id = st.id)",
    "updated_at": "(SELECT max(se.updated_at) FROM series AS se WHERE se.study_id = st.id)",
}
_OF_SERIES = {
    "number_of_instances": "(SELECT count(*) FROM instance AS i"
    " WHERE i.series_id = se.id AND i.removed_at IS NULL)::integer",
    "revision": "(SELECT hashtextextended(coalesce(string_agg(i.id::text, ' ' ORDER BY i.id), ''),"
    " 0) FROM instance AS i WHERE i.series_id = se.id AND i.removed_at IS NULL)",
    "updated_at": "(SELECT max(i.created_at) FROM instance AS i"
    " WHERE i.series_id = se.id AND i.removed_at IS NULL)",
}
"""What a row keeps of what lies below it, computed of what is visible there."""


def _opened(caller: int) -> str:
    """Whether a study is named by an override that is open; the parameter is its caller."""
    return (
        "EXISTS (SELECT FROM emergency_override AS o WHERE o.partition_id = st.partition_id"
        f" AND o.subject = ${caller} AND o.ended_at IS NULL AND o.expires_at > now()"
        " AND (o.study_instance_uid = st.study_instance_uid OR o.patient_id = st.patient_id"
        " AND (o.issuer_of_patient_id IS NULL"
        " OR o.issuer_of_patient_id = st.issuer_of_patient_id)))"
    )


def _columns(model: type[Study | Series], alias: str, computed: dict[str, str]) -> str:
    return ", ".join(
        f"{computed[name]} AS {name}" if name in computed else f"{alias}.{name}"
        for name in model.model_fields
    )


class _Writer:
    """Writes the tables for one depth of grants."""

    def __init__(self, form: _Form, first: int) -> None:
        depth, subjects, of_patient, bounded, overriding = form
        self._depth = depth
        granted = "true" if bounded else "false"
        if subjects:
            granted = self._by_grants(subjects, first, f"${first + subjects}::text")
            if overriding:
                breaking = self._by_grants(subjects, first, f"'{Action.BREAK_GLASS}'")
                granted = f"({granted} OR {_opened(first)} AND {breaking})"
            first += subjects + 2
        if of_patient:
            issuer = f"(${first + 1}::text IS NULL OR st.issuer_of_patient_id = ${first + 1})"
            granted = f"st.patient_id = ${first} AND {issuer} AND {granted}"
            first += 2
        if bounded:
            named = (
                f"st.study_instance_uid = ANY (${first}::text[])"
                f" OR st.patient_id = ANY (${first + 1}::text[])"
            )
            granted = f"({named}) AND {granted}"
        self._granted = granted

    def _by_grants(self, subjects: int, first: int, action: str) -> str:
        """What is true of what the grants of so many subjects cover, for an action."""
        # Not as an array: of one the planner believes that it holds many values, so that it plans
        # anew for each request, which takes longer than to look.
        holders = ", ".join(f"${first + number}" for number in range(subjects))
        purpose = first + subjects + 1
        conditions = [
            "g.partition_id = st.partition_id",
            f"g.subject IN ({holders})",
            # In the order of the index, which is not that of the columns of a study.
            "g.key = ANY (ARRAY['*', 'study ' || st.study_instance_uid,"
            " 'patient ' || st.patient_id] COLLATE \"default\")",
            f"{action} = ANY (g.actions)",
            "(g.expires_at IS NULL OR g.expires_at > now())",
            f"(g.purpose IS NULL OR g.purpose = ${purpose}::text)",
            # A deeper one that denies has just been made: it covers all that it may.
            f"(g.depth <= {self._depth:d} OR g.denies)",
            *(match for level in Depth if level <= self._depth for match in _MATCHES[level]),
        ]
        # Without any grant it is null, which is not true either.
        covering = f"FROM access_grant AS g WHERE {' AND '.join(conditions)}"
        return f"NOT (SELECT bool_or(g.denies) {covering})"

    def expressions(self, tables: Collection[str], *, joined: bool) -> Iterator[tuple[str, str]]:
        """The tables and their selects, in an order in which each sees those that it needs."""
        named = [level for level in _LEVELS if level in tables]
        narrowing = set(self._narrowing(named) if joined else named)
        shown = set(narrowing)
        if "study" in named and self._depth >= Depth.SERIES:
            shown |= {"study", "series"}
        if "series" in {*named, *shown} and self._depth is Depth.INSTANCE:
            shown |= {"series", "instance"}
        if "change" in tables:
            yield "change", self._change()
        if "series_metadata" in tables and self._depth is Depth.INSTANCE:
            yield "series_metadata", "SELECT * FROM series_metadata WHERE false"
        for level in reversed(_LEVELS):
            if level in shown:
                narrow = level in narrowing or _LEVELS.index(level) == self._depth
                yield level, getattr(self, f"_{level}")(narrow=narrow)

    def _narrowing(self, named: list[str]) -> list[str]:
        """Of tables that are joined, the one to which all the others are joined."""
        deep = [level for level in named if _LEVELS.index(level) >= self._depth]
        return deep[:1] or named[-1:]

    def _instance(self, *, narrow: bool) -> str:
        above = "study AS st" if self._depth is Depth.STUDY else "study AS st, series AS se"
        which = "st.id = i.study_id"
        if self._depth >= Depth.SERIES:
            which += " AND se.id = i.series_id"
        visible = f"EXISTS (SELECT FROM {above} WHERE {which} AND {self._granted})"
        return f"SELECT i.* FROM instance AS i{f' WHERE {visible}' if narrow else ''}"

    def _series(self, *, narrow: bool) -> str:
        if self._depth is Depth.INSTANCE:
            visible = (
                f"EXISTS (SELECT FROM instance AS i WHERE i.series_id = se.id"
                f" AND {_THERE['instance']})"
            )
            columns = _columns(Series, "se", _OF_SERIES)
        else:
            visible = (
                f"EXISTS (SELECT FROM study AS st WHERE st.id = se.study_id AND {self._granted})"
            )
            columns = "se.*"
        return f"SELECT {columns} FROM series AS se{f' WHERE {visible}' if narrow else ''}"

    def _study(self, *, narrow: bool) -> str:
        if self._depth is Depth.STUDY:
            visible, columns = self._granted, "st.*"
        else:
            visible = (
                f"EXISTS (SELECT FROM series AS se WHERE se.study_id = st.id"
                f" AND {_THERE['series']})"
            )
            columns = _columns(Study, "st", _OF_STUDY)
        return f"SELECT {columns} FROM study AS st{f' WHERE {visible}' if narrow else ''}"

    def _change(self) -> str:
        """Of an instance that was removed, nothing is told where its SOP class decides."""
        tables = "study AS st JOIN series AS se ON se.study_id = st.id"
        which = (
            "st.partition_id = change.partition_id"
            " AND st.study_instance_uid = change.study_instance_uid"
            " AND se.series_instance_uid = change.series_instance_uid"
        )
        if self._depth is Depth.INSTANCE:
            tables += " JOIN instance AS i ON i.series_id = se.id AND i.removed_at IS NULL"
            which += " AND i.sop_instance_uid = change.sop_instance_uid"
        visible = f"EXISTS (SELECT FROM {tables} WHERE {which} AND {self._granted})"
        return f"SELECT change.* FROM change WHERE {visible}"
