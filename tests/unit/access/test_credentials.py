"""Tokens are unguessable, and are found in the header however a client sends them."""

import base64
import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.access.credentials import hash_of, new_token, token_in


def basic(user_and_password: str) -> str:
    return "Basic " + base64.b64encode(user_and_password.encode()).decode()


def test_a_token_has_256_random_bits_and_a_prefix_that_scanners_find() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(re.fullmatch(r"hilum_[A-Za-z0-9_-]{43}", token) for token in tokens)


def test_a_token_is_known_by_its_sha256() -> None:
    assert hash_of("hilum_x") == hashlib.sha256(b"hilum_x").digest()


@pytest.mark.parametrize(
    "header",
    [
        "Bearer hilum_x",
        "bearer hilum_x",
        "BEARER   hilum_x ",
        basic("anybody:hilum_x"),
        basic(":hilum_x"),
        basic("anybody:hilum_x").replace("Basic", "basic"),
    ],
)
def test_the_token_is_found(header: str) -> None:
    assert token_in(header) == "hilum_x"


def test_a_password_may_hold_a_colon() -> None:
    assert token_in(basic("user:a:b")) == "a:b"


@pytest.mark.parametrize(
    "header",
    [
        "",
        " ",
        "Bearer",
        "Bearer ",
        "hilum_x",
        "Token hilum_x",
        "Digest username=x",
        "Basic",
        "Basic hilum_x",
        "Basic ====",
        basic("user"),
        basic("user:"),
        "Basic " + base64.b64encode(b"user:\xff").decode(),
        "Bearer " + "x" * 1_000_000,
    ],
)
def test_no_token_is_found_where_none_is(header: str) -> None:
    assert token_in(header) is None


@given(st.text())
def test_any_header_is_read_without_an_error(header: str) -> None:
    token_in(header)
    token_in("Basic " + header)
    hash_of(token_in("Bearer " + header.encode("utf-8", "replace").decode("latin-1")) or "")
