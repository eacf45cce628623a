"""What a cookie of ours looks like, and from which pages it is believed."""

import pytest
from starlette.responses import Response

from app.web.cookies import Cookie, is_of_our_site

BASE = "https://images.example/archive/dicomweb"


def test_over_tls_a_cookie_is_for_tls_and_this_path_alone() -> None:
    cookie, response = Cookie.of(BASE), Response()
    cookie.give(response, "secret", 60)
    name, *attributes = response.headers["set-cookie"].split("; ")
    assert name == "__Secure-hilum=secret"
    assert {"HttpOnly", "SameSite=strict", "Secure", "Path=/archive/dicomweb"} < set(attributes)
    assert "Max-Age=60" in attributes
    assert not [one for one in attributes if one.startswith("Domain")]


def test_on_the_machine_itself_it_is_the_same_without_tls() -> None:
    cookie, response = Cookie.of("http://127.0.0.1:8080/dicomweb"), Response()
    cookie.take_back(response)
    name, *attributes = response.headers["set-cookie"].split("; ")
    assert name.startswith("hilum=")
    assert {"HttpOnly", "SameSite=strict", "Max-Age=0", "Path=/dicomweb"} <= set(attributes)
    assert "Secure" not in attributes


@pytest.mark.parametrize(
    ("sent", "values"),
    [
        ([], []),
        ([b"other=1; __Secure-hilum=a-_9"], ["a-_9"]),
        ([b"hilum=plain"], []),
        ([b"__Secure-hilum=a; __Secure-hilum=b"], ["a", "b"]),
        ([b"__Secure-hilum=a", b"__Secure-hilum=b"], ["a", "b"]),
        ([b'__Secure-hilum="a"'], [""]),
        ([b"__Secure-hilum=\xe4"], [""]),
        ([b"__Secure-hilum=" + b"x" * 129], [""]),
        ([b"__Secure-hilum"], [""]),
        ([b"__secure-hilum=a; __Secure-hilum2=a"], []),
    ],
)
def test_every_value_is_found_and_what_is_none_of_ours_is_empty(
    sent: list[bytes], values: list[str]
) -> None:
    assert Cookie.of(BASE).values_in([(b"cookie", one) for one in sent]) == values


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({}, True),
        ({b"sec-fetch-site": b"same-origin"}, True),
        ({b"sec-fetch-site": b"same-site", b"origin": b"https://viewer.example"}, True),
        ({b"sec-fetch-site": b"none"}, True),
        ({b"sec-fetch-site": b"cross-site"}, False),
        ({b"sec-fetch-site": b"cross-site", b"origin": b"https://images.example"}, False),
        ({b"sec-fetch-site": b"anything"}, False),
        ({b"origin": b"https://images.example"}, True),
        ({b"origin": b"https://evil.example"}, False),
        ({b"origin": b"http://images.example"}, False),
        ({b"origin": b"https://images.example.evil.example"}, False),
        ({b"origin": b"null"}, False),
    ],
)
def test_pages_of_other_sites_are_not_believed(headers: dict[bytes, bytes], ours: bool) -> None:
    assert is_of_our_site(headers.items(), BASE) is ours
