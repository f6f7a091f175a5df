from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from webhooks.inbound.services import group_commit


@pytest.fixture(scope="module")
def second_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def groups(monkeypatch) -> list[int]:
    """How many notices each group had; one at a time is carried out."""
    monkeypatch.setattr(group_commit, "_LEADERS", 1)
    sizes, carry_out = list[int](), group_commit._process

    def counting(group):
        sizes.append(len(group))
        carry_out(group)

    monkeypatch.setattr(group_commit, "_process", counting)
    return sizes


@pytest.fixture
def signing_key(tmp_path, settings, stp) -> rsa.RSAPrivateKey:
    """STP's account with a key that only the worker reads."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PrivateFormat.PKCS8
    secret = serialization.BestAvailableEncryption(b"open sesame")
    (tmp_path / f"{stp.account.public_id}.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, secret))
    settings.STP_SIGNING_KEYS = tmp_path
    settings.STP_SIGNING_PASSWORD = "open sesame"
    return key
