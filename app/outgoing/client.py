"""`client`: a client for HTTP that calls nobody whom it may not call, and nobody for long.

Rules:
- What is called is called by HTTPS, or is this very machine. Nobody sends us elsewhere: an answer
  that redirects is an answer. No proxy or password is taken from the environment.
- Connections go to the address that was checked, under the name that was asked for: the certificate
  has to be of that name, and a connection is used again for the same name only.
- An answer is taken as it is, uncompressed, up to `LARGEST_BYTES`. From the lookup of the name to
  the last byte, a call takes no longer than the client's `seconds`.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress

import httpcore
import httpx

from app.outgoing.addresses import Destinations
from app.settings import is_protected

LARGEST_BYTES = 1024 * 1024


def client(
    destinations: Destinations,
    *,
    seconds: float,
    tls: ssl.SSLContext | None = None,
    headers: Mapping[str, str] | None = None,
) -> httpx.AsyncClient:
    """A client whose calls raise `httpx.HTTPError`: `AddressRefused` among others.

    `tls` says whom it believes and who it is; without it, whom browsers believe, and nobody.
    """
    return httpx.AsyncClient(
        transport=_Transport(destinations, tls or httpx.create_ssl_context(), seconds),
        headers={"Accept-Encoding": "identity"} | dict(headers or {}),
        timeout=seconds,
        follow_redirects=False,
        trust_env=False,
    )


class _Transport(httpx.AsyncHTTPTransport):
    def __init__(self, destinations: Destinations, tls: ssl.SSLContext, seconds: float) -> None:
        super().__init__(verify=tls, trust_env=False)
        # httpx has no other way to say how connections are made.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls, keepalive_expiry=5.0, network_backend=_Backend(destinations)
        )
        self._seconds = seconds

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not is_protected(str(request.url)):
            raise httpx.UnsupportedProtocol(f"{request.url.host} is not called by https")
        until = asyncio.get_running_loop().time() + self._seconds
        try:
            async with asyncio.timeout_at(until):
                answer = await super().handle_async_request(request)
        except TimeoutError as error:
            raise httpx.ConnectTimeout(f"{request.url.host} does not answer") from error
        assert isinstance(answer.stream, httpx.AsyncByteStream)
        answer.stream = _Bounded(answer.stream, until)
        if "Content-Encoding" in answer.headers:
            await answer.stream.aclose()
            raise httpx.DecodingError("the answer is compressed, which was not asked for")
        return answer


class _Bounded(httpx.AsyncByteStream):
    """A body that ends in an error when it is too long, or takes too long."""

    def __init__(self, body: httpx.AsyncByteStream, until: float) -> None:
        self._body = body
        self._until = until

    async def __aiter__(self) -> AsyncIterator[bytes]:
        taken = 0
        pieces = aiter(self._body)
        while True:
            try:
                async with asyncio.timeout_at(self._until):
                    piece = await anext(pieces, None)
            except TimeoutError as error:
                raise httpx.ReadTimeout("the answer does not end") from error
            if piece is None:
                return
            taken += len(piece)
            if taken > LARGEST_BYTES:
                raise httpx.ReadError("the answer is too long")
            yield piece

    async def aclose(self) -> None:
        await self._body.aclose()


class _Backend(httpcore.AsyncNetworkBackend):
    """Opens the connections of the pool; TLS comes on top, for the name that was asked for."""

    def __init__(self, destinations: Destinations) -> None:
        self._destinations = destinations
        self._tcp = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            addresses = await asyncio.to_thread(self._destinations.addresses_of, host, port)
        except OSError as error:
            raise httpcore.ConnectError(f"{host} has no address: {error}") from error
        share = None if timeout is None else timeout / len(addresses)
        how = (port, share, local_address, socket_options)
        for address in addresses[:-1]:
            with suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return await self._tcp.connect_tcp(address, *how)
        return await self._tcp.connect_tcp(addresses[-1], *how)
