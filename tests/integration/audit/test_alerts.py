"""Alerts of emergency overrides: each arrives, whoever is down or killed, and nothing else does."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from app.audit.alerts import signed
from app.cli import commands
from app.faults import VARIABLE, Point
from app.settings import Emergency, Settings, webhook_key
from tests.archive_process import ArchiveProcess
from tests.fixtures.feeds import Webhook
from tests.fixtures.server import Server, serving
from tests.integration.access.population import THINGS, Given, client_of, file_of, store, token_with
from tests.integration.audit.test_feeds import until
from tests.integration.web.conftest import execute, records

OURS = THINGS[0]
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STUDY = {"study_instance_uid": OURS.study_instance_uid, "reason": "Doe^Jane is unconscious"}


@asynccontextmanager
async def doctor(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """Who may break the glass, of a server with one study."""
    async with server.client("store") as http:
        assert (await store(http, [file_of(OURS)])).status_code == 200
    async with client_of(server, await token_with(server, [Given(("break-glass",))])) as http:
        yield http


def alerting(settings: Settings, webhook: Webhook) -> Settings:
    address = f"http://127.0.0.1:{webhook.port}/alerts"
    emergency = Emergency(webhook=address, webhook_secret=SecretStr(SECRET))
    here = [ip_network("127.0.0.1")]
    return settings.model_copy(update={"emergency": emergency, "outgoing_networks": here})


def told(webhook: Webhook) -> list[dict[str, Any]]:
    """What has arrived, each once; all of it is signed, and a moment old."""
    bodies = {}
    for headers, body in webhook.taken:
        seconds = int(headers["webhook-timestamp"])
        assert abs(time.time() - seconds) < 120
        expected = signed(headers["webhook-id"], body, webhook_key(SecretStr(SECRET)), seconds)
        assert {name: headers[name] for name in expected} == expected
        assert b"Doe" not in body
        bodies[headers["webhook-id"]] = orjson.loads(body)
    return [bodies[one] for one in sorted(bodies, key=lambda one: int(one.split("-")[1]))]


async def test_a_receiver_that_fails_at_first_gets_them_all(settings: Settings) -> None:
    webhook = Webhook(failing=2)
    with webhook.running(), serving(alerting(settings, webhook)) as server:
        async with doctor(server) as http:
            refused = await http.post(f"{server.url}/overrides", json=STUDY | {"reason": ""})
            assert refused.status_code == 400
            missing = STUDY | {"study_instance_uid": "1.2.3.77"}
            assert (await http.post(f"{server.url}/overrides", json=missing)).status_code == 404
            ids = []
            for _ in range(2):
                answer = await http.post(f"{server.url}/overrides", json=STUDY)
                ids.append(answer.json()["id"])
            assert (await http.get(OURS.path)).status_code == 200
            assert (await http.delete(f"{server.url}/overrides/{ids[0]}")).status_code == 204
            await until(lambda: len(told(webhook)) == 3)
    alerts = told(webhook)
    assert [(one["type"], one["data"]["override"]) for one in alerts] == [
        ("emergency-override.started", ids[0]),
        ("emergency-override.started", ids[1]),
        ("emergency-override.stopped", ids[0]),
    ]
    for one in alerts:
        assert one["data"]["study_instance_uid"] == OURS.study_instance_uid
        assert one["data"]["patient_id"] == OURS.patient_id
        assert one["data"]["subject"].startswith("token:")
        assert one["data"]["by"] == "restricted"
    assert not webhook.failing


async def test_nothing_is_sent_where_nobody_may_be_called(settings: Settings) -> None:
    webhook = Webhook()
    with webhook.running():
        closed = alerting(settings, webhook).model_copy(update={"outgoing_networks": []})
        with serving(closed) as server:
            async with doctor(server) as http:
                answer = await http.post(f"{server.url}/overrides", json=STUDY)
                assert answer.status_code == 201
            failure = ""
            async with asyncio.timeout(30):
                while "OUTGOING" not in failure:
                    failure = await asyncio.to_thread(feeds_of, server.database_url)
    assert "alerts: 1 records unsent" in failure
    assert webhook.taken == []


def feeds_of(database_url: str) -> str:
    """What the command tells."""
    told = CliRunner().invoke(
        commands, ["audit", "feeds"], env={"HILUM_DATABASE_URL": database_url}
    )
    return told.stdout


@pytest.mark.parametrize("answers", [True, False])
async def test_a_killed_archive_alerts_when_another_goes_on(
    tmp_path: Path, database_url: str, answers: bool
) -> None:
    webhook = Webhook()
    with webhook.running():
        pass  # It is away; its port is known.
    settings = {
        "HILUM_DATABASE_URL": database_url,
        "HILUM_EMERGENCY__WEBHOOK": f"http://127.0.0.1:{webhook.port}/alerts",
        "HILUM_EMERGENCY__WEBHOOK_SECRET": SECRET,
        "HILUM_OUTGOING_NETWORKS": '["127.0.0.1/32"]',
    }
    # The second answer is that to who opens something.
    fault = {} if answers else {VARIABLE: f"{Point.BEFORE_ANSWER}:kill:2"}
    killed = ArchiveProcess(tmp_path / "data", **settings, **fault)
    await asyncio.to_thread(killed.start)
    server = Server(killed.base.removesuffix("/dicomweb"), database_url, tmp_path / "data")
    async with doctor(server) as http:
        with nullcontext() if answers else pytest.raises(httpx.TransportError):
            answer = await http.post(f"{server.url}/overrides", json=STUDY)
            assert answer.status_code == 201
    killed.kill()
    opened = [one for one in await records(server) if one["subtype"] == "110127"]
    assert [(one["status"], one["override"]) for one in opened] == [(201, 1)]
    # Meanwhile its time is over, and that of who was killed.
    await execute(server, "UPDATE emergency_override SET expires_at = now()")
    await execute(server, "UPDATE audit_feed SET held_until = now()")
    with webhook.running(), ArchiveProcess(tmp_path / "data", **settings):
        await until(lambda: len(told(webhook)) >= 2, 60)
        async with asyncio.timeout(30):
            while "alerts: 0 " not in await asyncio.to_thread(feeds_of, database_url):
                pass
    alerts = [(one["type"], one["data"]["override"]) for one in told(webhook)]
    assert alerts == [("emergency-override.started", 1), ("emergency-override.stopped", 1)]
