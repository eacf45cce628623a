from typing import Any

import pytest

from app.web.development import comes_from_here

HOST = (b"host", b"127.0.0.1:8080")
HERE = ("127.0.0.1", 40000)


def request(*headers: tuple[bytes, bytes], **more: Any) -> dict[str, Any]:
    return {"headers": list(headers), "client": HERE, "server": ("127.0.0.1", 8080)} | more


@pytest.mark.parametrize("host", [b"127.0.0.1:8080", b"localhost", b"LocalHost:1", b"[::1]:8080"])
@pytest.mark.parametrize(
    "others",
    [
        [],
        [(b"origin", b"http://localhost:3000")],
        [(b"origin", b"https://[::1]")],
        [(b"sec-fetch-site", b"same-origin")],
        [(b"sec-fetch-site", b"same-site")],
        [(b"sec-fetch-site", b"none")],
    ],
)
def test_a_program_or_a_page_of_this_machine(
    host: bytes, others: list[tuple[bytes, bytes]]
) -> None:
    assert comes_from_here(request((b"host", host), *others))


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        [b""],
        [b"images.example"],
        [b"images.example:8080"],
        [b"localhost.example"],
        [b"127.0.0.1@images.example"],
        [b"images.example@127.0.0.1"],
        [b"0.0.0.0:8080"],
        [b"[::1"],
        [b"127.0.0.1:8080", b"images.example"],
        [b"127.0.0.1:8080", b"127.0.0.1:8080"],
    ],
)
def test_a_name_that_is_not_of_this_machine(hosts: list[bytes]) -> None:
    assert not comes_from_here(request(*((b"host", host) for host in hosts)))


@pytest.mark.parametrize(
    "header",
    [
        (b"origin", b"https://images.example"),
        (b"origin", b"http://localhost.example"),
        (b"origin", b"null"),
        (b"origin", b""),
        (b"origin", b"http://[::1"),
        (b"sec-fetch-site", b"cross-site"),
        (b"sec-fetch-site", b"Cross-Site"),
        (b"x-forwarded-proto", b"https"),
        (b"x_forwarded_for", b"192.0.2.1"),
        (b"cf-connecting-ip", b"192.0.2.1"),
        (b"forwarded", b"for=192.0.2.1"),
        (b"x-forwarded-for", b"127.0.0.1"),
        (b"x-forwarded-host", b"localhost"),
        (b"x-real-ip", b"192.0.2.1"),
        (b"via", b"1.1 proxy"),
    ],
)
def test_a_page_of_others_or_a_proxy(header: tuple[bytes, bytes]) -> None:
    assert not comes_from_here(request(HOST, header))


@pytest.mark.parametrize(
    "ends",
    [
        {"client": ("192.0.2.1", 40000)},
        {"server": ("192.0.2.1", 8080)},
        {"client": None},
        {"server": None},
        {"server": ("/run/hilum.sock", None)},
    ],
)
def test_a_connection_that_is_not_within_this_machine(ends: dict[str, Any]) -> None:
    assert not comes_from_here(request(HOST, **ends))
