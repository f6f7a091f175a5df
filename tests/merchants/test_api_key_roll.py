"""``POST /v1/api-keys/{id}/roll``: a new key for an old one, and never more than the old one may."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
import time_machine
from django.db import connection

from core import clock
from core.clock import to_rfc3339
from merchants.models import ApiKey
from merchants.services import api_key
from tests.conftest import Api
from tests.problems import assert_problem


def roll(api, key=None, body=None):
    key = key or ApiKey.objects.get(prefix=api.secret[:16])
    return api.post(f"/v1/api-keys/{key.public_id}/roll", body or {}, key=None)


def with_secret(api, secret):
    return Api(api.client, secret)


@pytest.mark.django_db
def test_both_keys_work_during_the_overlap_and_only_the_new_one_afterwards(api, merchant):
    rolled = roll(api)
    new = with_secret(api, rolled.json()["secret"])

    assert rolled.status_code == 201
    assert new.get("/v1/merchant").status_code == api.get("/v1/merchant").status_code == 200
    with time_machine.travel(clock.now() + timedelta(hours=24, seconds=1)):
        assert_problem(api.get("/v1/merchant"), 401, "invalid_api_key")
        assert new.get("/v1/merchant").status_code == 200


@pytest.mark.django_db
def test_the_new_key_may_the_same_from_the_same_addresses_until_the_same_end(merchant, make_api):
    end = clock.now() + timedelta(days=90)
    api = make_api(
        merchant, livemode=True, name="Shop", scopes=["payments:read"], networks=["127.0.0.0/8"], expires_at=end
    )

    made = roll(api).json()

    secret = made.pop("secret")
    old = ApiKey.objects.get(prefix=api.secret[:16])
    new = ApiKey.objects.get(public_id=made["id"])
    assert secret.startswith("sk_live_")
    assert made == {
        "id": new.public_id,
        "object": "api_key",
        "livemode": True,
        "created_at": to_rfc3339(new.created_at),
        "name": "Shop",
        "prefix": secret[:16],
        "status": "active",
        "scopes": ["payments:read"],
        "networks": ["127.0.0.0/8"],
        "replaces": old.public_id,
        "expires_at": to_rfc3339(end),
        "last_used_at": None,
        "revoked_at": None,
    }
    assert (new.created_by, new.created_by_key) == (None, old)


@pytest.mark.django_db
@pytest.mark.parametrize("ahead", [timedelta(minutes=5), timedelta(days=7) - timedelta(seconds=5)])
def test_the_caller_chooses_the_end_of_the_old_key(api, ahead):
    end = clock.now() + ahead

    assert roll(api, body={"old_key_expires_at": to_rfc3339(end)}).status_code == 201

    assert ApiKey.objects.get(prefix=api.secret[:16]).expires_at == end


@pytest.mark.django_db
def test_a_moment_that_has_passed_ends_the_old_key_at_once(api):
    new = with_secret(api, roll(api, body={"old_key_expires_at": "2020-01-01T00:00:00Z"}).json()["secret"])

    assert_problem(api.get("/v1/merchant"), 401, "invalid_api_key")
    assert new.get("/v1/merchant").status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"old_key_expires_at": "tomorrow"}, "invalid_request", "old_key_expires_at"),
        ({"old_key_expires_at": None}, "invalid_request", "old_key_expires_at"),
        ({"old_key_expires_at": 86400}, "invalid_request", "old_key_expires_at"),
        ({"scopes": ["payouts:write"]}, "unknown_field", "scopes"),
        ({"networks": []}, "unknown_field", "networks"),
        ({"expires_at": None}, "unknown_field", "expires_at"),
    ],
)
def test_a_faulty_wish_rolls_nothing(api, body, code, field):
    assert_problem(roll(api, body=body), 400, code, field)
    assert ApiKey.objects.count() == 1


@pytest.mark.django_db
def test_an_old_key_that_should_live_too_long_is_not_rolled(api):
    answer = roll(api, body={"old_key_expires_at": "2099-01-01T00:00:00Z"})

    assert_problem(answer, 422, "invalid_request", "old_key_expires_at")
    assert ApiKey.objects.count() == 1


@pytest.mark.django_db
def test_rolling_never_prolongs_a_key(merchant, make_api):
    soon = clock.now() + timedelta(hours=1)
    api = make_api(merchant, expires_at=soon)

    made = roll(api, body={"old_key_expires_at": to_rfc3339(clock.now() + timedelta(days=3))}).json()

    assert ApiKey.objects.get(prefix=api.secret[:16]).expires_at == soon
    assert made["expires_at"] == to_rfc3339(soon)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("by", "target"),
    [
        ({"scopes": ["payments:read"]}, {"scopes": ["payments:read", "payments:write"]}),
        ({"scopes": []}, {"scopes": ["payments:read"]}),
        ({"networks": ["127.0.0.0/8"]}, {}),
        ({"networks": ["127.0.0.0/8"]}, {"networks": ["0.0.0.0/0"]}),
        ({"networks": ["127.0.0.0/8"]}, {"networks": ["127.0.0.1", "2001:db8::/32"]}),
        ({"expires_at": "soon"}, {}),
    ],
)
def test_a_key_cannot_get_hold_of_a_mightier_one(merchant, make_api, by, target):
    if by.get("expires_at"):
        by = {"expires_at": clock.now() + timedelta(hours=1)}
    weak = make_api(merchant, **by)
    strong, _ = api_key.create(merchant, livemode=False, **target)

    assert_problem(roll(weak, strong), 403, "key_scope_insufficient")

    assert ApiKey.objects.count() == 2
    assert roll(weak).status_code == 201  # itself it may


@pytest.mark.django_db
def test_a_key_rolls_one_that_may_no_more(merchant, make_api):
    strong = make_api(merchant)
    weak, weak_secret = api_key.create(merchant, livemode=False, scopes=["payments:read"], networks=["127.0.0.1"])

    made = roll(strong, weak).json()

    assert made["scopes"] == ["payments:read"]
    assert with_secret(strong, made["secret"]).get("/v1/payments").status_code == 200
    assert ApiKey.objects.get(public_id=made["id"]).created_by_key == ApiKey.objects.get(prefix=strong.secret[:16])


@pytest.mark.django_db
def test_a_lost_answer_is_no_lockout_the_unused_successor_makes_way(api):
    lost = roll(api).json()

    again = roll(api).json()

    assert_problem(with_secret(api, lost["secret"]).get("/v1/merchant"), 401, "invalid_api_key")
    assert with_secret(api, again["secret"]).get("/v1/merchant").status_code == 200
    old = ApiKey.objects.get(prefix=api.secret[:16])
    assert [k.public_id for k in old.successors.filter(revoked_at=None)] == [again["id"]]
    assert again["expires_at"] is None


@pytest.mark.django_db
def test_whoever_finds_an_old_key_during_the_overlap_makes_no_new_one_of_it(api, merchant):
    new = with_secret(api, roll(api).json()["secret"])
    weak, _ = api_key.create(merchant, livemode=False, scopes=[], expires_at=clock.now() + timedelta(hours=1))
    assert new.get("/v1/merchant").status_code == 200

    assert_problem(roll(api), 409, "illegal_transition")
    assert_problem(roll(api, weak), 409, "illegal_transition")

    assert ApiKey.objects.count() == 3
    assert new.get("/v1/merchant").status_code == 200


@pytest.mark.django_db
def test_a_key_that_works_no_more_cannot_be_rolled(api, merchant):
    revoked, _ = api_key.create(merchant, livemode=False)
    api_key.revoke(revoked)
    expired, _ = api_key.create(merchant, livemode=False, expires_at=clock.now())

    for key in (revoked, expired):
        assert_problem(roll(api, key), 409, "illegal_transition")
    assert ApiKey.objects.count() == 3


def test_one_key_is_rolled_once_by_many_at_once(committed_db, api):
    key = ApiKey.objects.get()
    barrier = threading.Barrier(8)

    def one(number):
        barrier.wait()
        try:
            return roll(api, key)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one, range(8)))

    assert {answer.status_code for answer in answers} == {201}
    (left,) = key.successors.filter(revoked_at=None)
    working = [
        a.json()["id"] for a in answers if with_secret(api, a.json()["secret"]).get("/v1/merchant").status_code == 200
    ]
    assert working == [left.public_id]


@pytest.mark.django_db
def test_the_list_shows_every_key_of_this_merchant_and_mode_and_no_secret(api, merchant, other_merchant, make_api):
    live, theirs = make_api(merchant, livemode=True), make_api(other_merchant)
    revoked, _ = api_key.create(merchant, livemode=False)
    api_key.revoke(revoked)
    api_key.create(merchant, livemode=False, expires_at=clock.now())
    made = roll(api).json()

    answer = api.get("/v1/api-keys")

    shown = answer.json()["data"]
    assert [key["status"] for key in shown] == ["active", "expired", "revoked", "active"]
    assert shown[0]["id"] == made["id"]
    assert shown[0]["replaces"] == shown[3]["id"]
    assert not any("secret" in key for key in shown)
    for secret in (api.secret, made["secret"], live.secret, theirs.secret):
        assert secret.encode() not in answer.content
    assert {key["livemode"] for key in shown} == {False}
    assert datetime.fromisoformat(shown[3]["last_used_at"]) <= clock.now()


@pytest.mark.django_db
def test_lists_of_keys_have_pages(api, merchant):
    for _ in range(4):
        api_key.create(merchant, livemode=False)

    first = api.get("/v1/api-keys?limit=3").json()
    second = api.get(f"/v1/api-keys?limit=3&cursor={first['next_cursor']}").json()

    assert (len(first["data"]), first["has_more"]) == (3, True)
    assert (len(second["data"]), second["has_more"]) == (2, False)
    assert len({key["id"] for key in first["data"] + second["data"]}) == 5


def test_the_last_use_is_noted_without_waiting_for_whoever_holds_the_row(committed_db, api, owner):
    owner.execute("SELECT id FROM merchants_apikey FOR UPDATE")
    started = time.monotonic()

    assert api.get("/v1/merchant").status_code == 200

    assert time.monotonic() - started < 50  # who waits for a lock waits a minute here
    owner.rollback()
    assert ApiKey.objects.get().last_used_at is None
    api.get("/v1/merchant")
    assert ApiKey.objects.get().last_used_at is not None
