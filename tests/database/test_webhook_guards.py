"""Deliveries to merchants in raw SQL: one attempt at a time, once per event, cursors forward, history kept."""

from __future__ import annotations

import pytest
from psycopg import errors

LEASE = "live_attempt = '{0}', live_since = '{1}', leased_until = '{1}'::timestamptz + interval '30 seconds'"
FIRST = LEASE.format("att_1", "2026-11-30T12:00:00Z")


def test_an_attempt_in_flight_keeps_others_off_until_its_lease_ends(attacker):
    (row,) = attacker.connection.execute("SELECT min(id) FROM webhooks_delivery").fetchone()
    take = f"UPDATE webhooks_delivery SET {{}} WHERE id = {row}"
    attacker.run(take.format(FIRST))

    early = take.format(LEASE.format("att_2", "2026-11-30T12:00:29Z"))
    attacker.refused(early, by=errors.RestrictViolation, saying="while an attempt is in flight")
    attacker.refused(
        take.format("leased_until = leased_until + interval '1 hour'"),
        by=errors.RestrictViolation,
        saying="while an attempt is in flight",
    )
    attacker.refused(take.format("leased_until = NULL"), by=errors.CheckViolation, saying="delivery_lease_whole")
    attacker.refused(
        take.format("status = 'delivered', next_attempt_at = NULL, finished_at = now()"),
        by=errors.CheckViolation,
        saying="delivery_only_pending_is_tried",
    )
    attacker.run(take.format(LEASE.format("att_2", "2026-11-30T12:00:30Z")))
    attacker.run(take.format("live_attempt = NULL, live_since = NULL, leased_until = NULL"))


def test_an_event_has_one_delivery_for_an_endpoint_besides_replays(attacker):
    with attacker.attempt():
        attacker.clone("webhooks_delivery", public_id="dlv_again", kind="replay")
    with pytest.raises(errors.UniqueViolation, match="delivery_event_unique"), attacker.attempt():
        attacker.clone("webhooks_delivery", public_id="dlv_again", kind="feed")


def test_no_cursor_steps_back_and_there_is_one_of_the_feed(attacker):
    attacker.run("UPDATE webhooks_feedcursor SET sequence = sequence + 5")
    attacker.run("UPDATE webhooks_endpoint SET cursor = 7, starts_after = starts_after + 5 WHERE status = 'active'")

    for statement in (
        "UPDATE webhooks_feedcursor SET sequence = sequence - 1",
        "UPDATE webhooks_endpoint SET cursor = 6 WHERE status = 'active'",
        "UPDATE webhooks_endpoint SET starts_after = starts_after - 1 WHERE status = 'active'",
    ):
        attacker.refused(statement, by=errors.RestrictViolation, saying="cannot step back")
    attacker.refused(
        "INSERT INTO webhooks_feedcursor (id, sequence) VALUES (2, 0)",
        by=errors.CheckViolation,
        saying="feed_cursor_single",
    )


def test_a_merchant_has_sixteen_endpoints_in_a_mode_at_most(attacker):
    for slot in range(3, 17):
        attacker.clone("webhooks_endpoint", public_id=f"we_{slot}", slot=slot)
    attacker.clone("webhooks_endpoint", public_id="we_2", slot=2)  # its first holder was deleted

    for slot, by in ((0, errors.CheckViolation), (17, errors.CheckViolation), (16, errors.UniqueViolation)):
        with pytest.raises(by), attacker.attempt():
            attacker.clone("webhooks_endpoint", public_id="we_more", slot=slot)


def test_a_deleted_endpoint_stays_disabled(attacker):
    attacker.refused(
        "UPDATE webhooks_endpoint SET status = 'active', disabled_reason = '' WHERE deleted_at IS NOT NULL",
        by=errors.CheckViolation,
        saying="endpoint_deleted_is_disabled",
    )


def test_attempts_and_deliveries_are_kept_for_thirty_days_and_the_current_secret_as_long_as_its_endpoint(attacker):
    for table in ("webhooks_deliveryattempt", "webhooks_delivery"):
        attacker.refused(f"DELETE FROM {table}", by=errors.RestrictViolation, saying="for thirty days")
    attacker.refused("DELETE FROM webhooks_endpointsecret", by=errors.RestrictViolation, saying="the current secret")

    old = {"public_id": "att_old", "at": "2026-01-01T00:00:00Z"}
    row = attacker.clone("webhooks_deliveryattempt", **old)
    assert attacker.connection.execute("DELETE FROM webhooks_deliveryattempt WHERE id = %s", [row]).rowcount == 1
