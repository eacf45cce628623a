"""How far the feeds of the audit are behind: `hilum audit feeds` by HTTP, for who watches them.

    /audit/feeds    JSON

It needs the scope `audit`, and counts what waits of the caller's own partition. Why a feed fails is
told by the command and by the log alone, since that names machines.
"""

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from app.audit.telling import instant
from app.index import audit_feeds
from app.index.audit_feeds import Lag
from app.web.dependencies import ArchiveOf, Auditor
from app.web.plain_json import answer

router = APIRouter(tags=["Audit"])


@router.get("/audit/feeds")
async def describe_feeds(caller: Auditor, archive: ArchiveOf) -> Response:
    """Of each feed: how many records wait, since when, when it last sent, since when it fails."""
    async with archive.reading() as connection:
        lags = await audit_feeds.lags(connection, caller.partition_id)
    return answer([_described(lag) for lag in lags])


def _described(lag: Lag) -> dict[str, Any]:
    moments = {
        "oldest": lag.oldest,
        "sent_at": lag.sent_at,
        "failing_since": lag.failing_since,
    }
    told = {name: instant(moment) for name, moment in moments.items() if moment is not None}
    return {"feed": lag.feed, "unsent": lag.unsent} | told
