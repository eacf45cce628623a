"""`PlainRoute`: calls an endpoint with what it asks for, where nothing of that needs validation.

FastAPI takes a tenth of a millisecond to find out, for every request anew, what an endpoint asks
for, and to validate it. Here most endpoints ask for segments of their path, for the request, and
for what is found through dependencies on these. That much is settled when the application starts;
an endpoint that asks for anything else is left to FastAPI. The OpenAPI document is FastAPI's own.
"""

import inspect
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from fastapi import Request, Response
from fastapi.params import Depends
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

_Source = Callable[[Request], Awaitable[Any]]


class PlainRoute(APIRoute):
    """A route of an endpoint with plain parameters."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        endpoint = _called(self.endpoint, frozenset(self.param_convertors))
        if endpoint is not None and not self.dependencies:
            self.app = _application(endpoint)


def _application(endpoint: _Source) -> ASGIApp:
    """Calls the endpoint, and lets what it raises through to the middleware."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        response: Response = await endpoint(Request(scope, receive, send))
        await response(scope, receive, send)

    return answer


def _called(function: Callable[..., Any], segments: frozenset[str]) -> _Source | None:
    """The function as one of the request alone; None if it asks for more than is plain.

    `segments`: names of the variable parts of the path.
    """
    if not inspect.iscoroutinefunction(function):
        return None
    of_path: list[str] = []
    of_request: list[str] = []
    found: list[tuple[str, _Source]] = []
    for name, kind in _parameters(function).items():
        if kind is str and name in segments:
            of_path.append(name)
        elif kind is Request:
            of_request.append(name)
        elif (source := _dependency(kind, segments)) is not None:
            found.append((name, source))
        else:
            return None

    async def call(request: Request) -> Any:
        arguments: dict[str, Any] = {name: await source(request) for name, source in found}
        path = request.path_params
        for name in of_path:
            arguments[name] = path[name]
        for name in of_request:
            arguments[name] = request
        return await function(**arguments)

    return call


def _parameters(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of the parameters by name; None of those that have a default."""
    hints = get_type_hints(function, include_extras=True)
    return {
        name: hints.get(name) if parameter.default is inspect.Parameter.empty else None
        for name, parameter in inspect.signature(function).parameters.items()
    }


def _dependency(kind: Any, segments: frozenset[str]) -> _Source | None:
    """What finds a parameter that is `Annotated[..., Depends(function)]`."""
    if get_origin(kind) is not Annotated:
        return None
    _, *marks = get_args(kind)
    match marks:
        case [Depends(dependency=function)] if function is not None:
            return _called(function, segments)
        case _:
            return None
