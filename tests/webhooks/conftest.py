from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from webhooks.inbound.services import together


@pytest.fixture(scope="module")
def second_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def groups(monkeypatch) -> list[int]:
    """How many notices each group had; one at a time is carried out."""
    monkeypatch.setattr(together, "_LEADERS", 1)
    sizes, carry_out = list[int](), together._carry_out

    def counting(group):
        sizes.append(len(group))
        carry_out(group)

    monkeypatch.setattr(together, "_carry_out", counting)
    return sizes
