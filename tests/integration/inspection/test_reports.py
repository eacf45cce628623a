"""The report of disclosures by HTTP: what the command tells, and it is itself in the audit."""

import csv
import io

import orjson
import pytest

from tests.fixtures.server import Server
from tests.integration.access.population import THINGS, file_of, store
from tests.integration.inspection.conftest import auditor

THING = THINGS[8]
PATH = f"/audit/patients/{THING.patient_id}/disclosures"


async def test_the_report_comes_as_a_table_and_as_json(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.audit.disclosures.PAGE", 2)
    async with server.client("read", "store") as http:
        assert (await store(http, [file_of(THING)])).status_code == 200
        study = f"/studies/{THING.study_instance_uid}/metadata"
        for _ in range(5):
            assert (await http.get(study)).status_code == 200
    async with auditor(server) as http:
        url = server.url + PATH
        table = await http.get(url)
        rows = list(csv.DictReader(io.StringIO(table.text)))
        assert [row["request"] for row in rows] == [f"GET /dicomweb{study}"] * 5
        assert len({row["record"] for row in rows}) == 5
        lines = await http.get(url, headers={"Accept": "application/x-ndjson"})
        assert [orjson.loads(line)["record"] for line in lines.content.splitlines()] == [
            row["record"] for row in rows
        ]
        assert table.headers["content-type"].startswith("text/csv")
        assert table.headers["cache-control"] == "no-store"
        nobody = await http.get(url, params={"issuer": "of nobody"})
        assert (nobody.status_code, len(nobody.text.splitlines())) == (200, 1)
        bad = await http.get(f"{server.url}/audit/patients/%00/disclosures")
        assert bad.status_code == 400
        looked = await http.get(f"/AuditEvent?type=110101&patient={THING.patient_id}")
        assert len(looked.json()["entry"]) == 3
    async with auditor(server, partition="elsewhere") as http:
        assert len((await http.get(server.url + PATH)).text.splitlines()) == 1
    async with server.client("read") as http:
        assert (await http.get(server.url + PATH)).status_code == 403
