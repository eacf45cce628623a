"""`hilum audit disclosures`: who has seen what of a patient."""

import sys
from contextlib import redirect_stdout
from enum import StrEnum
from typing import Annotated

import orjson
import typer

from app.audit.disclosures import CsvReport, all_of, disclosures
from app.audit.event import PATH_CHARACTERS, identifier
from app.audit.queries import plain
from app.cli.environment import database, read_settings
from app.cli.recorded import record_look
from app.cli.tokens import partition_named, with_index
from app.index.database import Database
from app.index.partitions import DEFAULT


class Form(StrEnum):
    """How the report is written."""

    CSV = "csv"
    JSON = "json"


def report(
    patient: Annotated[str, typer.Argument(metavar="PATIENT_ID", help="Whose data.")],
    issuer: Annotated[
        str | None, typer.Option(help="Issuer of Patient ID; any without it, '' for none.")
    ] = None,
    partition: Annotated[str, typer.Option(help="The tenant whose patient it is.")] = DEFAULT,
    form: Annotated[Form, typer.Option("--format", help="JSON is a line each.")] = Form.CSV,
) -> None:
    """Print who has seen what of a patient: when, from where and why, the latest first."""
    output = sys.stdout

    async def write(index: Database) -> None:
        partition_id = await partition_named(index, partition)
        all_of(partition_id, patient, issuer)  # refuses what is no Patient ID
        await record_look(
            index,
            "audit disclosures",
            partition_id,
            plain(f"/audit/patients/{patient}/disclosures", PATH_CHARACTERS),
            patient_id=identifier(patient),
            issuer_of_patient_id=identifier(issuer or ""),
        )
        async with index.reading() as connection:
            table = CsvReport(output) if form is Form.CSV else None
            async for one in disclosures(connection, partition_id, patient, issuer):
                if table is not None:
                    table.write(one)
                else:
                    print(orjson.dumps(one).decode(), file=output)

    # What is logged meanwhile is no part of the report.
    with redirect_stdout(sys.stderr), database(read_settings()) as url:
        with_index(url, write)
