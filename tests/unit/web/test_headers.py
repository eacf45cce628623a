"""Every answer tells browsers to do little with it, and the pages of the API work all the same."""

import base64
import hashlib
import re

import pytest
from fastapi import FastAPI

from app.web.headers import SecurityHeaders
from tests.unit.web.asgi import Call, answering, scope

VIEWER = "https://viewer.example"


@pytest.mark.parametrize(
    ("origins", "ancestors"),
    [(["*"], "'self'"), ([VIEWER + "/"], f"'self' {VIEWER}"), ([], "'self'")],
)
async def test_an_answer_is_framed_by_this_site_and_the_viewers(
    origins: list[str], ancestors: str
) -> None:
    call = await Call()(SecurityHeaders(answering(404), origins), scope())
    assert call.headers["content-security-policy"] == (
        f"default-src 'none'; frame-ancestors {ancestors}"
    )
    assert call.headers["referrer-policy"] == "no-referrer"
    assert call.headers["x-content-type-options"] == "nosniff"


async def test_the_policy_of_a_document_holds_too() -> None:
    own = (b"content-security-policy", b"default-src 'none'; sandbox")
    call = await Call()(SecurityHeaders(answering(headers=[own]), ["*"]), scope())
    policies = [value for name, value in call.sent[0]["headers"] if name == own[0]]
    assert policies == [own[1], b"default-src 'none'; frame-ancestors 'self'"]


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/docs/oauth2-redirect"])
async def test_a_page_runs_its_own_scripts_and_no_other(path: str) -> None:
    call = await Call()(SecurityHeaders(FastAPI(title="x"), ["*"]), scope(path=path))
    assert call.status == 200
    policy = call.headers["content-security-policy"]
    (scripts,) = re.findall("script-src ([^;]*)", policy)
    page = call.body.decode()
    inline = re.findall("<script>(.*?)</script>", page, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in inline]
    assert scripts.split() == ["https://cdn.jsdelivr.net", *(f"'sha256-{one}'" for one in hashes)]
    assert len(re.findall("<script", page)) - len(inline) == len(
        re.findall('<script src="https://cdn.jsdelivr.net/', page)
    )
    for kind, address in re.findall(r'<link [^>]*rel="([^"]*)" ?[^>]*href="(https://[^/"]*)', page):
        assert address in policy, kind
    assert "unsafe-eval" not in policy
    assert "'unsafe-inline'" not in scripts
