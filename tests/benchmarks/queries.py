"""The commonest queries, and how PostgreSQL answers each: for measuring, and to test the plans."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import quote

import orjson

from app.dicom.attributes import Level
from app.index.database import Connection
from app.index.search import FEW, may_be_few, statements
from app.index.search.plan import plan_of
from app.index.statements import Prepared
from app.index.visibility import Visibility
from app.search.paging import token_of
from app.search.params import read_query_string
from app.search.response import selection
from app.settings import Limits
from tests.benchmarks import population

_INDEXED = 3
"""Letters that a part of a text needs for an index to know it."""

OHIF = "fuzzymatching=true&includefield=00081030,00080060,00080090,00100030"


@dataclass(frozen=True, slots=True)
class Common:
    """A query that clients send often; `{...}` stands for values of a study that is there."""

    name: str
    path: str
    query: str
    scans: bool = False
    """Whether it may have to read everything."""

    def filled(self, values: Mapping[str, str]) -> tuple[str, str]:
        """The path and the query string with values in place."""
        return self.path.format(**values), self.query.format(**values)


COMMON = (
    Common("OHIF's list, first page", "studies", f"limit=101&offset=0&{OHIF}"),
    Common("a page of 25", "studies", "limit=25"),
    Common("page 41 of 25, by offset", "studies", "limit=25&offset=1000"),
    Common("a deep page, by link", "studies", "limit=25&after={after}"),
    Common("PatientID", "studies", "PatientID={patient_id}"),
    Common("PatientID, any part", "studies", "PatientID=*{patient_part}*&limit=101"),
    Common("AccessionNumber", "studies", "AccessionNumber={accession}"),
    Common("StudyInstanceUID", "studies", "StudyInstanceUID={study}"),
    Common("StudyDate, one day", "studies", "StudyDate={date}&limit=101"),
    Common("StudyDate, a week", "studies", "StudyDate={week}-{date}&limit=101"),
    Common(
        "StudyDate and StudyTime", "studies", "StudyDate={date}-{date}&StudyTime=08-12&limit=101"
    ),
    Common("PatientName, beginning", "studies", "PatientName={name}*&limit=101"),
    Common("PatientName, any part", "studies", "PatientName=*{name_part}*&limit=101"),
    Common("PatientName, fuzzy", "studies", "PatientName={name}&fuzzymatching=true&limit=101"),
    Common(
        "ModalitiesInStudy and a week",
        "studies",
        "ModalitiesInStudy=CT,MR&StudyDate={week}-{date}&limit=101",
    ),
    Common("ModalitiesInStudy", "studies", "ModalitiesInStudy=SM&limit=101"),
    Common(
        "StudyDescription, any part",
        "studies",
        "StudyDescription=*Breast*&StudyDate={month}-{date}&limit=101",
    ),
    Common("series of a study", "studies/{study}/series", "includefield=0008103E"),
    Common("instances of a series", "studies/{study}/series/{series}/instances", ""),
    Common("Modality of series", "series", "Modality=SM&limit=101"),
    Common(
        "BodyPartExamined, of studies",
        "studies",
        "BodyPartExamined=HIP&StudyDate={week}-{date}&limit=101",
    ),
    Common(
        "ScheduledProcedureStepID",
        "series",
        "RequestAttributesSequence.ScheduledProcedureStepID={step}",
    ),
    Common("SOPInstanceUID", "instances", "SOPInstanceUID={instance}"),
    Common("without a column: StationName", "series", "StationName={station}&limit=101"),
)

_LEVELS = {"studies": Level.STUDY, "series": Level.SERIES, "instances": Level.INSTANCE}


async def explained(
    connection: Connection, visibility: Visibility, path: str, query: str, *, analyze: bool
) -> list[dict[str, Any]]:
    """The plans of the statements that give the page, as PostgreSQL tells them in JSON."""
    steps = path.split("/")
    asked = read_query_string(
        query.encode(),
        _LEVELS[steps[-1]],
        limits=Limits(),
        study_instance_uid=steps[1] if len(steps) > 2 else None,
        series_instance_uid=steps[3] if len(steps) > 4 else None,
    ).query
    async with connection.transaction():
        plan = await plan_of(connection, visibility, asked, presuming=True)
    named = {**plan.values, **visibility.parameters}
    limits = {"limit": asked.limit + 1, "offset": asked.offset}
    shape = plan.shape(selection(asked).wanted)
    explaining = _Explaining(
        connection, "ANALYZE, BUFFERS, FORMAT JSON" if analyze else "FORMAT JSON"
    )
    if may_be_few(plan):
        few = statements.page_of_few(shape)
        return [await explaining.told(few, **named, **limits, most=FEW + 1)]
    if shape.is_of_first_studies:
        first = statements.first_studies(shape)
        named["most"] = asked.limit + asked.offset + 2
        named["studies"] = [row["id"] for row in await first.fetch(connection, **named)]
        both = first, statements.page_of_studies(shape)
        return [await explaining.told(each, **named, **limits) for each in both]
    return [await explaining.told(statements.page(shape), **named, **limits)]


@dataclass(frozen=True, slots=True)
class _Explaining:
    """A connection that tells how it would do what it is asked."""

    connection: Connection
    options: str

    async def told(self, statement: Prepared, **parameters: Any) -> dict[str, Any]:
        """What it would do, in JSON."""
        (row,) = await statement.fetch(self, **parameters)
        found: dict[str, Any] = orjson.loads(row[0])[0]
        return found

    async def fetch(self, sql: str, *values: Any) -> list[Any]:
        """The plan, as one row."""
        rows: list[Any] = await self.connection.fetch(f"EXPLAIN ({self.options}) {sql}", *values)
        return rows


async def examples(connection: Connection, study: int | None = None) -> dict[str, str]:
    """Values of a study, or of one in the middle of those that there are, to be filled in."""
    row = await connection.fetchrow(
        "SELECT st.*, se.series_instance_uid, se.request_attributes, i.sop_instance_uid"
        " FROM study st JOIN series se ON se.study_id = st.id"
        " CROSS JOIN LATERAL (SELECT sop_instance_uid FROM instance WHERE series_id = se.id"
        " AND removed_at IS NULL LIMIT 1) i"
        " WHERE st.id = coalesce($1, (SELECT max(id) / 2 FROM study)) ORDER BY se.id LIMIT 1",
        study,
    )
    name = row["patient_name"].strip("=")
    day = date.fromisoformat(row["study_date"])
    place = row["study_date"], row["study_time"], row["study_instance_uid"]
    return {
        "study": row["study_instance_uid"],
        "series": row["series_instance_uid"],
        "instance": row["sop_instance_uid"],
        "patient_id": row["patient_id"],
        "patient_part": row["patient_id"][-4:],
        "accession": row["accession_number"],
        "date": row["study_date"],
        "week": f"{day - timedelta(days=6):%Y%m%d}",
        "month": f"{day - timedelta(days=30):%Y%m%d}",
        "name": quote(name.partition("^")[0]),
        # An index knows parts of three letters and more.
        "name_part": quote(next(part for part in name.split("^") if len(part) >= _INDEXED)[-5:]),
        "step": row["request_attributes"][0]["00400009"],
        "station": population.station(row["id"]),
        "after": token_of(place, 0),
    }


def nodes(told: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Every node of the plans, each from the top."""
    for statement in told:
        yield from _nodes(statement["Plan"])


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def scans(told: Iterable[Mapping[str, Any]]) -> list[str]:
    """How the plans read tables: `Index Scan study_patient_id`, `Seq Scan study`."""
    return [
        f"{node['Node Type']} {node.get('Index Name') or node.get('Relation Name')}"
        for node in nodes(told)
        if "Scan" in node["Node Type"] and ("Index Name" in node or "Relation Name" in node)
        if node["Node Type"] != "Bitmap Heap Scan" and node.get("Relation Name") != "change_order"
    ]
