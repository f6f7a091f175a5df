"""``split`` of a batch's hold is the sum of its parts, against raw SQL by the app and owner roles."""

from __future__ import annotations

import pytest
from psycopg import errors

from tests.database.conftest import Attacker

pytestmark = pytest.mark.promise("P8", "raw SQL: parts of a batch's hold", unit="attacks")


@pytest.fixture
def batch(attacker: Attacker) -> int:
    """An open hold of 1,000.00 of a batch."""
    return attacker.clone("ledger_hold", public_id="hld_batch", source="bat_1", purpose="batch", amount=100_000)


def part(attacker: Attacker, parent: int, amount: int, source: str = "po_part", **changes: object) -> int:
    given = {"public_id": f"hld_{source}", "source": source, "parent_id": parent, "amount": amount}
    return attacker.clone("ledger_hold", **given, **changes)


def split(attacker: Attacker, pk: int) -> int:
    return attacker.run("SELECT split FROM ledger_hold WHERE id = %s", pk)


def test_the_database_computes_the_split(attacker, batch):
    part(attacker, batch, 30_000)
    part(attacker, batch, 70_000, "po_more")

    assert split(attacker, batch) == 100_000


@pytest.mark.parametrize("amounts", [[100_001], [60_000, 40_001], [100_000, 1]])
def test_the_split_cannot_exceed_the_batch(attacker, batch, amounts):
    *fitting, last = amounts
    for number, amount in enumerate(fitting):
        part(attacker, batch, amount, f"po_{number}")

    with pytest.raises(errors.CheckViolation, match="hold_split_within_amount"), attacker.attempt():
        part(attacker, batch, last)

    assert split(attacker, batch) == sum(fitting)


@pytest.mark.parametrize(
    "why", ["released", "not a batch", "a batch in a batch", "another mode", "another merchant", "no hold"]
)
def test_a_parts_parent_must_be_an_open_batch_of_its_merchant(attacker, batch, why):
    parent, changes = batch, {}
    match why:
        case "released":
            attacker.run("UPDATE ledger_hold SET status = 'released', resolved_at = now() WHERE id = %s", batch)
        case "not a batch":
            parent = attacker.run("SELECT id FROM ledger_hold WHERE source = 'po_held'")
        case "a batch in a batch":
            changes = {"purpose": "batch"}
        case "another mode":
            changes = {"livemode": True}
        case "another merchant":
            changes = {"merchant_id": attacker.clone("merchants_merchant", public_id="mer_other")}
        case _:
            parent = 10**12

    with pytest.raises(errors.CheckViolation, match="is not an open batch of its merchant"), attacker.attempt():
        part(attacker, parent, 100, **changes)


@pytest.mark.parametrize("value", ["0", "1", "split + 1", "split - 1", "amount"])
def test_the_split_cannot_be_written_directly(attacker, batch, value):
    part(attacker, batch, 30_000)

    attacker.refused(
        f"UPDATE ledger_hold SET split = {value} WHERE id = {batch}",
        by=errors.RestrictViolation,
        saying="split is computed from the parts",
    )


def test_a_hold_cannot_be_inserted_with_a_split(attacker):
    with pytest.raises(errors.RestrictViolation, match="split is computed from the parts"), attacker.attempt():
        attacker.clone("ledger_hold", public_id="hld_new", source="po_new", split=1)


def test_the_split_part_cannot_be_captured_again(attacker, batch):
    part(attacker, batch, 30_000)

    attacker.refused(
        f"UPDATE ledger_hold SET status = 'captured', captured = 70001, resolved_at = now() WHERE id = {batch}",
        by=errors.CheckViolation,
        saying="hold_captured_within_amount",
    )


def test_a_part_cannot_change_its_parent_or_amount(attacker, batch):
    pk = part(attacker, batch, 30_000)

    for change in ("parent_id = NULL", "amount = amount - 1"):
        attacker.refused(
            f"UPDATE ledger_hold SET {change} WHERE id = {pk}", by=errors.RestrictViolation, saying="cannot change"
        )
