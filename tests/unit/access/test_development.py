import pytest

from app.access.development import NotForDevelopment, check, is_local, is_loopback
from tests.fixtures.server import FixedSettings

HERE = ("127.0.0.1", "127.8.9.10", "::1", "localhost", "::ffff:127.0.0.1")
ELSEWHERE = (
    *("0.0.0.0", "::", "", "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"),
    *("no.such.host.invalid", "127.0.0.1.nip.example"),
)


@pytest.mark.parametrize("host", HERE)
def test_it_may_listen_on_this_machine(host: str) -> None:
    check(FixedSettings(development=True, host=host))


@pytest.mark.parametrize("host", ELSEWHERE)
def test_it_may_listen_nowhere_else(host: str) -> None:
    with pytest.raises(NotForDevelopment, match="HILUM_HOST"):
        check(FixedSettings(development=True, host=host))
    check(FixedSettings(host=host))


def test_no_proxy_may_be_trusted() -> None:
    settings = FixedSettings.model_validate(
        {"development": True, "trusted_proxies": ["127.0.0.1/32"]}
    )
    with pytest.raises(NotForDevelopment, match="HILUM_TRUSTED_PROXIES"):
        check(settings)


@pytest.mark.parametrize("url", ["https://images.example.org", "http://localhost.example", "x"])
def test_it_may_be_reached_by_no_name_of_another(url: str) -> None:
    with pytest.raises(NotForDevelopment, match="HILUM_PUBLIC_URL"):
        check(FixedSettings(development=True, public_url=url))
    check(FixedSettings(development=True, public_url="http://localhost:8080/images"))


@pytest.mark.parametrize("host", [*HERE, "LOCALHOST"])
def test_names_and_addresses_of_this_machine(host: str) -> None:
    assert is_local(host)


@pytest.mark.parametrize(
    "host", [*ELSEWHERE, None, "127.1", "localhost.", "localhost.example", "x.localhost"]
)
def test_names_and_addresses_of_others(host: str | None) -> None:
    assert not is_local(host)


def test_a_name_is_no_address() -> None:
    assert not is_loopback("localhost")
