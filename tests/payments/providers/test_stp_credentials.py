"""HTTP Basic credentials of STP's calls."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.providers.stp.credentials import parse_basic, secret_matches


def basic(text: str | bytes) -> str:
    return "Basic " + base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def test_user_and_password_are_read():
    assert parse_basic(basic("stp:s3cr:et")) == ("stp", "s3cr:et")
    assert parse_basic(basic("stp:")) == ("stp", "")
    assert parse_basic(basic("señor:contraseña")) == ("señor", "contraseña")
    assert parse_basic("bASIC " + basic("a:b")[6:]) == ("a", "b")


@pytest.mark.parametrize(
    "header",
    ["", "Basic", "Basic ", "Bearer YTpi", "Basic  YTpi", "Basic\tYTpi", " Basic YTpi", "Basic YTpi ", "Basic YTpi\n"]
    + [
        "Basic YT pi",
        "Basic Y!Tpi",
        "Basic YTpi=",
        "Basic YTo",
        "Basic YTpiYQ=",
        "Basic YTpiYR==",
        "Basic ====",
        "YTpi",
    ]
    + [
        basic("no colon"),
        basic(":no user"),
        basic(b"a:\xff"),
        basic("a:\x00"),
        basic("a\r\n:b"),
        basic("a:" + "x" * 2000),
    ],
)
def test_anything_but_an_exact_basic_header_is_nothing(header):
    assert parse_basic(header) is None


@given(st.text())
def test_any_header_is_credentials_or_nothing(text):
    assert parse_basic(text) is None
    parse_basic("Basic " + text)
    parse_basic(basic(text.encode("utf-8", "surrogatepass")))


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=50))
def test_a_secret_matches_its_own_digest_and_no_other(secret):
    digest = hashlib.sha256(secret.encode()).hexdigest()

    assert secret_matches(secret, digest)
    assert secret_matches(secret, digest.upper())
    assert not secret_matches(secret + "x", digest)


@pytest.mark.parametrize("expected", ["", "x", "0" * 63, "ñ" * 64, "0" * 64 + "\n"])
def test_an_account_without_a_valid_digest_accepts_no_secret(expected):
    assert not secret_matches("", expected)
    assert not secret_matches("\ud800", expected)
