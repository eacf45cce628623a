"""Who watches the feeds of the audit hears how far they are behind, of the own partition."""

from datetime import UTC, datetime

import httpx

from app.index import audit_feeds
from tests.fixtures.server import Server
from tests.integration.access.population import index_of


async def test_how_far_feeds_are_behind_is_told_of_the_own_partition(server: Server) -> None:
    own = await server.token("audit")
    other = await server.token("audit", partition="elsewhere")

    async def told(token: str) -> list[dict[str, object]]:
        async with httpx.AsyncClient(trust_env=False) as http:
            headers = {"Authorization": f"Bearer {token}"}
            answer = await http.get(f"{server.url}/audit/feeds", headers=headers)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        found: list[dict[str, object]] = answer.json()
        return found

    assert await told(own) == []  # which leaves a record
    assert await told(own) == []
    async with index_of(server) as index, index.reading() as connection:
        await audit_feeds.hold(connection, "syslog", "somebody", 60)
        await audit_feeds.advance(
            connection, "syslog", "somebody", {1: 1}, "machine.example is off"
        )
    began = datetime.now(UTC)
    (behind,) = await told(own)
    assert (behind["feed"], behind["unsent"]) == ("syslog", 1)
    moments = [datetime.fromisoformat(str(behind[name])) for name in ("oldest", "failing_since")]
    assert all(moment <= began for moment in moments)
    assert "sent_at" in behind
    assert "machine.example" not in str(behind)
    (elsewhere,) = await told(other)
    assert elsewhere == {
        "feed": "syslog",
        "unsent": 0,
        "failing_since": behind["failing_since"],
    }
