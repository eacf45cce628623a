"""Nothing that is secret or names a patient is in a log, in the audit, or in an error."""

import base64
import json

import httpx
import pytest

from app.access.principal import Scope
from app.access.tokens import issue_token
from tests import factories
from tests.fixtures.server import Server
from tests.integration.access.population import index_of
from tests.integration.web.conftest import execute, records
from tests.raw_http import RawConnection, request

STORED_NAME, SOUGHT_NAME, PASSWORD = "Quokka^Zephyrine", "Wombat^Isolde", "pass-phrase-of-nobody"
STORED = ("quokka", "zephyrine", "doe^jane")
SOUGHT = ("wombat", "isolde")


async def test_secrets_and_names_are_told_nowhere(
    room_server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    async with index_of(room_server) as index:
        admin = (await issue_token(index, "administrator", [Scope.ADMIN])).token
    file = factories.part10(factories.ct_dataset(PatientName=STORED_NAME))
    errors: list[str] = []
    secrets = [admin, admin.removeprefix("hilum_"), PASSWORD]

    def note(answer: httpx.Response) -> httpx.Response:
        if answer.status_code >= 400:
            errors.append(f"{answer.headers} {answer.text}")
        return answer

    async with httpx.AsyncClient(base_url=room_server.url, trust_env=False) as anybody:
        ours = {"Authorization": f"Bearer {admin}"}
        stored = await anybody.post(
            "/dicomweb/studies",
            content=file,
            headers=ours | {"Content-Type": "application/dicom"},
        )
        assert stored.status_code == 200
        (study,) = (await anybody.get("/dicomweb/studies", headers=ours)).json()
        uid = study["0020000D"]["Value"][0]
        cookie = (await anybody.post("/dicomweb/session", headers=ours)).cookies["hilum"]
        anybody.cookies.clear()
        answer = await anybody.post(f"/dicomweb/studies/{uid}/token", headers=ours)
        secrets += [cookie, answer.json()["access_token"]]
        made = await anybody.post("/admin/tokens", json={"name": "made"}, headers=ours)
        secrets.append(made.json()["token"])

        ways = [{"Authorization": f"Bearer {secret}x"} for secret in secrets]
        ways += [{"Authorization": f"{secret}"} for secret in secrets]
        ways += [{"Cookie": f"hilum={secret}x"} for secret in secrets]
        ways += [{"Authorization": "Basic " + base64.b64encode(f"{PASSWORD}:x".encode()).decode()}]
        ways += [ours, ours | {"X-Token": PASSWORD, "Referer": f"https://h/?t={cookie}"}, {}]
        paths = [
            *("/dicomweb/studies", "/dicomweb/room/broken", "/dicomweb/room/missing"),
            *("/dicomweb/room/number?limit=x", f"/dicomweb/studies/{uid}/rendered"),
            f"/dicomweb/studies?PatientName={SOUGHT_NAME}",
            f"/dicomweb/studies?ReferringPhysicianName={SOUGHT_NAME}&limit=bad",
            f"/dicomweb/studies?OtherPatientNames={SOUGHT_NAME}&StudyDate=bad",
            f"/dicomweb/series?NoSuchKey={SOUGHT_NAME}",
        ]
        for way in ways:
            for path in paths:
                note(await anybody.get(path, headers=way))
        for secret in [*secrets[3:], admin]:
            for path in (
                f"/dicomweb/studies/{secret}",
                f"/{secret}",
                f"/dicomweb/studies?{secret}",
            ):
                await anybody.get(path, headers=ours)  # its caller hears what the caller has said
            note(await anybody.get(f"/dicomweb/studies?access_token={secret}", headers=ours))
            note(await anybody.get(f"/dicomweb/studies/{uid}/series?access_token={secret}x"))
        for body in (b"{", json.dumps({"name": [PASSWORD]}).encode()):
            await anybody.post("/admin/tokens", content=body, headers=ours)
        broken = file[:-20] + b"\xff" * 9
        kind = {"Content-Type": "application/dicom"}
        note(await anybody.post("/dicomweb/studies", content=broken, headers=ours | kind))

        # Failures of ours, with all that a traceback might quote.
        with pytest.raises(httpx.RemoteProtocolError):
            await anybody.get("/dicomweb/room/stream-that-breaks", headers=ours)
        for table in ("session", "study", "audit"):
            await execute(room_server, f"ALTER TABLE {table} RENAME TO elsewhere")
            for way in (ours, {"Cookie": f"hilum={cookie}"}):
                answer = note(await anybody.get(paths[5], headers=way))
                assert answer.status_code >= 500 or table == "session"
            await execute(room_server, f"ALTER TABLE elsewhere RENAME TO {table}")
    with RawConnection(room_server.url) as connection:
        connection.send(request("GET", f"/dicomweb/studies?access_token={cookie} x", token=admin))
        connection.receive()

    told = {
        "log": "".join(capfd.readouterr()),
        "audit": str(await records(room_server)),
        "errors": "\n".join(errors),
    }
    assert "builtins.ValueError" in told["log"]
    assert len(errors) > 100
    for where, text in told.items():
        for secret in secrets:
            assert secret not in text, where
        # Of a parameter that cannot be used, its caller hears what the caller has said.
        for name in STORED if where == "errors" else STORED + SOUGHT:
            assert name not in text.lower(), where
