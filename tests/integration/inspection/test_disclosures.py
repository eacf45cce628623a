"""A patient is told who has seen what: all of it, and nothing of others."""

import asyncio
import csv
import io
import json

import httpx
import pytest
from typer.testing import CliRunner, Result

from app.cli import commands
from tests.fixtures.server import Server
from tests.integration.access.population import THINGS, file_of, store

THING, OTHER = THINGS[8], THINGS[4]
"""Of different patients."""


def run(monkeypatch: pytest.MonkeyPatch, server: Server, *arguments: str) -> Result:
    monkeypatch.setenv("HILUM_DATABASE_URL", server.database_url)
    return CliRunner().invoke(commands, ["audit", "disclosures", *arguments])


async def test_the_report_tells_who_saw_what(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert THING.patient_id != OTHER.patient_id
    async with server.client("admin") as http:
        assert (await store(http, [file_of(THING), file_of(OTHER)])).status_code == 200
        seen = [
            f"/studies/{THING.study_instance_uid}/metadata",
            f"{THING.path}/frames/1",
            f"/studies?PatientID={THING.patient_id}",
        ]
        for path in (*seen, f"/studies/{OTHER.study_instance_uid}/metadata"):
            assert (await http.get(path)).status_code == 200
        assert (await http.get(f"{THING.path}/frames/9")).status_code == 404
        assert (await http.get("/studies?PatientID=%3Dcmd()")).status_code == 200
    restricted = await server.token("read", restricted=True)
    async with httpx.AsyncClient(trust_env=False) as refused:
        headers = {"Authorization": f"Bearer {restricted}"}
        answer = await refused.get(f"{server.dicomweb}{seen[0]}", headers=headers)
        assert answer.status_code == 404

    ran = await asyncio.to_thread(run, monkeypatch, server, THING.patient_id)
    assert ran.exit_code == 0, ran.output
    rows = list(csv.DictReader(io.StringIO(ran.stdout)))
    assert [row["request"] for row in rows] == [f"GET /dicomweb{path}" for path in reversed(seen)]
    assert {(row["who"], row["address"]) for row in rows} == {("test", "127.0.0.1")}
    assert [row["what"] for row in rows] == [
        "Query",
        "DICOM Instances Transferred",
        "DICOM Instances Accessed",
    ]
    assert rows[1]["sop_instance_uid"] == THING.sop_instance_uid

    issuer = THING.issuer_of_patient_id or ""
    arguments = (THING.patient_id, "--issuer", issuer, "--format", "json")
    ran = await asyncio.to_thread(run, monkeypatch, server, *arguments)
    told = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [one["record"] for one in told] == [row["record"] for row in rows[1:]]

    ran = await asyncio.to_thread(run, monkeypatch, server, THING.patient_id, "--issuer", "else")
    assert len(ran.stdout.splitlines()) == 1
    ran = await asyncio.to_thread(run, monkeypatch, server, "x", "--partition", "none")
    assert ran.exit_code != 0
