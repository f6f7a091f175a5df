"""API keys and idempotency keys, attacked with raw SQL."""

from __future__ import annotations

import pytest
from psycopg import errors

NEW = {"public_id": "key_new", "secret_sha256": "f" * 64}
"""What a copy of a key needs to be accepted as another one."""


def first_key(attacker) -> int:
    return int(attacker.run("SELECT min(id) FROM merchants_apikey"))


def test_the_keys_that_the_following_tests_spoil_are_accepted_unspoilt(attacker):
    attacker.clone("merchants_apikey", **NEW)
    attacker.clone(
        "merchants_apikey", **NEW | {"public_id": "key_2", "secret_sha256": "e" * 64}, replaces_id=first_key(attacker)
    )


@pytest.mark.parametrize(
    ("spoilt", "constraint"),
    [
        ({"scopes": ["everything"]}, "api_key_scopes_known"),
        ({"scopes": ["payments:read", "payments:*"]}, "api_key_scopes_known"),
        ({"livemode": True}, "api_key_says_its_mode"),
        ({"prefix": "sk_live_abcdefgh"}, "api_key_says_its_mode"),
        ({"prefix": "whatever"}, "api_key_says_its_mode"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(attacker, spoilt, constraint):
    with pytest.raises(errors.CheckViolation, match=constraint), attacker.attempt():
        attacker.clone("merchants_apikey", **NEW | spoilt)


def test_an_address_is_a_network_to_the_database_too(attacker):
    for text in ("{203.0.113.7/24}", "{example.mx}"):
        attacker.refused(
            f"UPDATE merchants_apikey SET networks = '{text}'", by=errors.InvalidTextRepresentation, saying=""
        )


def test_a_keys_end_never_becomes_later(attacker):
    attacker.run("UPDATE merchants_apikey SET expires_at = now() + interval '1 day'")

    for later in ("NULL", "now() + interval '2 days'", "'infinity'"):
        attacker.refused(
            f"UPDATE merchants_apikey SET expires_at = {later}",
            by=errors.RestrictViolation,
            saying="expires_at cannot become later",
        )
    attacker.run("UPDATE merchants_apikey SET expires_at = now()")


@pytest.mark.parametrize(
    "other",
    [
        {"livemode": True, "prefix": "sk_live_abcdefgh"},
        {"merchant_id": "another"},
        {"scopes": ["payments:read", "payments:write"]},
    ],
)
def test_a_successor_is_of_the_same_merchant_and_mode_and_may_no_more(attacker, other):
    old = attacker.clone("merchants_apikey", **NEW, scopes=["payments:read"])
    fresh = {"public_id": "key_2", "secret_sha256": "e" * 64, "scopes": ["payments:read"], "replaces_id": old}
    if other.get("merchant_id"):
        other = {"merchant_id": attacker.clone("merchants_merchant", public_id="mer_new")}

    with (
        pytest.raises(errors.CheckViolation, match="a successor is of the same merchant and may no more"),
        attacker.attempt(),
    ):
        attacker.clone("merchants_apikey", **fresh | other)

    attacker.clone("merchants_apikey", **fresh)


def test_a_key_has_one_successor_that_is_not_revoked(attacker):
    old = first_key(attacker)
    attacker.clone("merchants_apikey", **NEW, replaces_id=old)
    second = {"public_id": "key_2", "secret_sha256": "e" * 64, "replaces_id": old}

    with pytest.raises(errors.UniqueViolation, match="api_key_one_successor"), attacker.attempt():
        attacker.clone("merchants_apikey", **second)

    attacker.run("UPDATE merchants_apikey SET revoked_at = now() WHERE public_id = 'key_new'")
    attacker.clone("merchants_apikey", **second)


def insert(attacker, state: str, age: str = "0 days") -> None:
    attacker.run(
        "INSERT INTO merchants_idempotencykey (public_id, merchant_id, livemode, key, method, path, body_sha256, state,"
        " response_status, response_body, object_id, locked_at, created_at)"
        f" SELECT 'idk_new', min(id), false, 'k', 'POST', '/v1/payments', '0', '{state}', 201, 'answer', '', now(),"
        f" now() - interval '{age}' FROM merchants_merchant"
    )


@pytest.mark.parametrize(
    "change",
    [
        "response_body = 'another'",
        "response_status = 500",
        "state = 'in_progress'",
        "body_sha256 = '1'",
        "key = 'other'",
    ],
)
def test_a_stored_answer_never_changes(attacker, change):
    insert(attacker, "completed")

    attacker.refused(
        f"UPDATE merchants_idempotencykey SET {change} WHERE key = 'k'",
        by=errors.RestrictViolation,
        saying="a stored answer cannot change",
    )


def test_a_request_in_progress_gets_its_answer(attacker):
    insert(attacker, "in_progress")

    attacker.run("UPDATE merchants_idempotencykey SET state = 'completed', response_body = '{}' WHERE key = 'k'")


@pytest.mark.parametrize("state", ["completed", "in_progress"])
def test_an_idempotency_key_is_kept_for_thirty_days(attacker, state):
    insert(attacker, state, "29 days 23 hours")

    attacker.refused(
        "DELETE FROM merchants_idempotencykey", by=errors.RestrictViolation, saying="a key is kept for thirty days"
    )


def test_an_old_idempotency_key_may_go(attacker):
    insert(attacker, "completed", "30 days 1 minute")

    assert attacker.connection.execute("DELETE FROM merchants_idempotencykey WHERE key = 'k'").rowcount == 1
