"""An endpoint gets what it asks for, from whoever finds it, and FastAPI does the rest."""

from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, Response

from app.errors import Forbidden
from app.main import ROOMS
from app.web.plain_route import PlainRoute

router = APIRouter(prefix="/here", route_class=PlainRoute)


async def of_header(request: Request) -> str:
    return request.headers["x-said"]


async def of_others(said: Annotated[str, Depends(of_header)], study: str) -> str:
    return f"{said} of {study}"


async def refuses() -> str:
    raise Forbidden


Said = Annotated[str, Depends(of_header)]
Both = Annotated[str, Depends(of_others)]


@router.get("/studies/{study}/{path:path}")
async def plain(request: Request, said: Said, both: Both, study: str, path: str) -> Response:
    """A plain endpoint."""
    return Response(f"{request.method} {said}; {both}; {study}; {path}")


@router.get("/refused/{study}")
async def refused(_: Annotated[str, Depends(refuses)], study: str) -> Response:
    """Never called."""
    return Response(study)


@router.get("/validated/{number}")
async def validated(number: int, times: int = 2) -> Response:
    """Left to FastAPI."""
    return Response(str(number * times))


@router.get("/guarded", dependencies=[Depends(refuses)])
async def guarded() -> Response:
    """Left to FastAPI, which calls the guard."""
    return Response("never")


@pytest.fixture
def client() -> httpx.AsyncClient:
    app = FastAPI(routes=router.routes)
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://h", headers={"X-Said": "a"}
    )


async def test_a_plain_endpoint_is_given_everything(client: httpx.AsyncClient) -> None:
    answer = await client.get("/here/studies/1.2/b/c%20d")
    assert answer.text == "GET a; a of 1.2; 1.2; b/c d"


@pytest.mark.parametrize("path", ["/here/refused/1.2", "/here/guarded"])
async def test_what_a_dependency_raises_ends_the_request(
    client: httpx.AsyncClient, path: str
) -> None:
    with pytest.raises(Forbidden):
        await client.get(path)


async def test_what_needs_validation_gets_it(client: httpx.AsyncClient) -> None:
    assert (await client.get("/here/validated/3")).text == "6"
    assert (await client.get("/here/validated/3?times=3")).text == "9"
    assert (await client.get("/here/validated/x")).status_code == 422


def test_only_what_is_plain_is_called_past_fastapi() -> None:
    past = {
        route.endpoint.__name__: getattr(route.app, "__module__", "") == PlainRoute.__module__
        for route in router.routes
        if isinstance(route, PlainRoute)
    }
    assert past == {"plain": True, "refused": True, "validated": False, "guarded": False}


def test_no_room_has_a_guard_that_a_plain_route_would_not_call() -> None:
    assert all(not room.dependencies for room in ROOMS)
