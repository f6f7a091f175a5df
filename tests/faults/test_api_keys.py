"""What happens to a key or its merchant is felt within a second by every process of the site."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time

import pytest

from core import ids
from tests.sandbox.process import wait_for

CHANGES = {
    "revoked": ("UPDATE merchants_apikey SET revoked_at = now() WHERE prefix = %s", "invalid_api_key"),
    "ended": ("UPDATE merchants_apikey SET expires_at = now() WHERE prefix = %s", "invalid_api_key"),
    "confined": ("UPDATE merchants_apikey SET networks = '{203.0.113.7}' WHERE prefix = %s", "ip_not_allowed"),
    "suspended": (
        "UPDATE merchants_merchant SET status = 'suspended' WHERE id ="
        " (SELECT merchant_id FROM merchants_apikey WHERE prefix = %s)",
        "merchant_suspended",
    ),
}


@pytest.fixture(scope="module")
def sites(house):
    """Two sites of two processes each, which remember keys as in production."""
    as_in_production = {"DJANGO_SETTINGS_MODULE": "payments_site.settings.base"}
    with house.web(**as_in_production) as one, house.web(**as_in_production) as two:
        yield one, two


def new_merchant_key(house) -> str:
    """The secret of the only key of a new merchant, made behind the sites' backs."""
    secret = f"sk_test_{secrets.token_urlsafe(32)}"
    house.query(
        "WITH m AS (INSERT INTO merchants_merchant (public_id, name, legal_name, status, created_at)"
        " VALUES (%s, 'Tienda', 'Tienda', 'active', now()) RETURNING id)"
        " INSERT INTO merchants_apikey (public_id, merchant_id, livemode, name, prefix, secret_sha256, scopes,"
        " created_at) SELECT %s, id, false, '', %s, %s, '{payments:read}', now() FROM m RETURNING id",
        ids.new_id("merchant"),
        ids.new_id("api_key"),
        secret[:16],
        hashlib.sha256(secret.encode()).hexdigest(),
    )
    return secret


@pytest.mark.promise("P11", "a key that is revoked, ended, confined or whose merchant is suspended", unit="changes")
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_a_key_is_felt_everywhere_within_a_second(house, sites, change):
    secret = new_merchant_key(house)
    statement, code = CHANGES[change]
    taken: dict[int, float] = {}
    refused: dict[int, str] = {}
    stop = threading.Event()

    def ask(number: int) -> None:
        site = sites[number % 2]
        while not stop.is_set():
            sent = time.monotonic()
            answer = site.get("/v1/merchant", Authorization=f"Bearer {secret}")
            if answer.status == 200:
                taken[number] = sent
                refused.pop(number, None)
            elif answer.status in (401, 403):  # 503: the machine is too busy to say anything
                refused[number] = answer.body.decode()

    askers = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for asker in askers:
        asker.start()
    try:
        wait_for(lambda: len(taken) == 6)
        house.query(f"{statement} RETURNING id", secret[:16])
        changed = time.monotonic()
        time.sleep(1.0)
        wait_for(lambda: len(refused) == 6)
    finally:
        stop.set()
        for asker in askers:
            asker.join(150)

    assert max(taken.values()) - changed < 1.0
    assert len(refused) == 6
    assert all(f'"{code}"' in body for body in refused.values())
