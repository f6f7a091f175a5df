"""One statement writes all rows of a change, exactly as saving them one by one would."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DataError, IntegrityError, ProgrammingError, models, transaction

from core import clock
from core.unit_of_work import joined, unit_of_work, within
from core.writes import Sql, Writes, column_names, fetch, hydrate
from merchants.models import Event, Merchant
from merchants.services import event
from payments.models import Deposit, Payment, PaymentTransition
from tests.factories.unsaved import deposit_of, payment_of
from tests.problems import rows
from tests.provider_messages import StpSender


def values_of(row: models.Model, *, but: set[str]) -> dict[str, Any]:
    fresh = type(row)._default_manager.get(pk=row.pk)
    return {f.attname: f.value_from_object(fresh) for f in row._meta.concrete_fields if f.attname not in but}


def test_a_row_is_written_as_saving_it_would(merchant: Merchant, stp: StpSender) -> None:
    saved = payment_of(merchant, stp, external_id="1")
    saved.save()
    written = payment_of(merchant, stp, external_id="2", clabe="646180157000000017", expires_at=saved.expires_at)
    writes = Writes()
    writes.insert(written)

    writes.execute()

    but = {"id", "public_id", "external_id", "clabe", "created_at"}
    assert values_of(written, but=but) == values_of(saved, but=but)
    assert not written._state.adding


def test_rows_may_point_to_rows_of_the_same_statement(merchant: Merchant, stp: StpSender) -> None:
    one = payment_of(merchant, stp)
    two = payment_of(merchant, stp, clabe="646180157000000017")
    writes = Writes()
    for payment in (one, two):
        writes.insert(payment)
        writes.insert(PaymentTransition(payment=payment, to_status="pending", cause="api", actor=payment.public_id))

    writes.execute()

    assert one.pk != two.pk
    for payment in (one, two):
        assert payment.transitions.get().actor == payment.public_id
        assert Payment.objects.get(pk=payment.pk).public_id == payment.public_id


def test_updated_fields_are_written_and_no_others(merchant: Merchant, stp: StpSender) -> None:
    payment = payment_of(merchant, stp)
    payment.save()
    payment.description = "not written"
    payment.cancel(at=clock.now())
    writes = Writes()
    writes.update(payment, "status", "cancelled_at")

    writes.execute()

    fresh = Payment.objects.get(pk=payment.pk)
    assert (fresh.status, fresh.description) == ("cancelled", "")


def test_a_value_may_be_worked_out_by_the_database(merchant: Merchant) -> None:
    for expected in (1, 2):
        event = Event(merchant=merchant, livemode=False, type="t", object_id="pay_1", data={})
        writes = Writes()
        writes.insert(
            event,
            {
                "object_sequence": Sql(
                    "SELECT coalesce(max(object_sequence), 0) + 1 FROM merchants_event WHERE object_id = %s", ("pay_1",)
                )
            },
        )

        writes.execute()

        assert Event.objects.get(pk=event.pk).object_sequence == expected


def test_the_guards_judge_the_statement(merchant: Merchant, stp: StpSender) -> None:
    paid = payment_of(merchant, stp)
    paid.complete(deposit=deposit_of(paid), completed_at=clock.now())
    writes = Writes()
    writes.insert(paid)
    with pytest.raises(IntegrityError, match="cannot begin as completed"), transaction.atomic():
        writes.execute()

    other_mode = deposit_of(payment_of(merchant, stp))
    other_mode.livemode = True
    writes = Writes()
    writes.insert(other_mode.payment)  # type: ignore[arg-type]
    writes.insert(other_mode)
    with pytest.raises(IntegrityError, match="is of the other mode"), transaction.atomic():
        writes.execute()

    assert Payment.objects.count() == Deposit.objects.count() == 0


def test_nothing_is_written_if_one_row_is_refused(merchant: Merchant, stp: StpSender) -> None:
    payment_of(merchant, stp, external_id="once").save()
    again = payment_of(merchant, stp, external_id="once", clabe="646180157000000017")
    writes = Writes()
    writes.insert(
        PaymentTransition(payment=again, to_status="pending", cause="api", actor="key_1"), {"payment": Sql("NULL")}
    )
    writes.insert(again)

    with pytest.raises(IntegrityError), transaction.atomic():
        writes.execute()

    assert Payment.objects.count() == 1
    assert PaymentTransition.objects.count() == 0


def test_a_row_that_is_gone_is_not_passed_over(merchant: Merchant, stp: StpSender) -> None:
    payment = payment_of(merchant, stp)
    payment.pk = 10**9
    writes = Writes()
    writes.update(payment, "status", "cancelled_at")

    with pytest.raises(RuntimeError, match="not written"):
        writes.execute()


def test_a_field_that_does_not_exist_is_refused(merchant: Merchant, stp: StpSender) -> None:
    with pytest.raises(ValueError, match="lacks some of"):
        Writes().update(payment_of(merchant, stp), "state")


def test_it_runs_in_a_transaction_only() -> None:
    with pytest.raises(RuntimeError, match="must run inside"):
        Writes().execute()


def test_a_statement_of_its_own_joins_in(merchant: Merchant) -> None:
    writes = Writes()
    writes.add(Sql("UPDATE merchants_merchant SET name = %s WHERE id = %s RETURNING id", ("It's %s", merchant.pk)))

    writes.execute()

    merchant.refresh_from_db()
    assert merchant.name == "It's %s"


def test_a_statement_of_its_own_says_what_it_means_that_rows_are_missing(merchant: Merchant) -> None:
    nothing = "UPDATE merchants_merchant SET name = '' WHERE id = 0 RETURNING id"
    every = "UPDATE merchants_merchant SET name = name RETURNING id"
    for text, count in ((nothing, 1), (every, 2)):
        writes = Writes()
        writes.add(Sql(text), count=count, missing=LookupError("not there"))

        with pytest.raises(LookupError, match="not there"):
            writes.execute()


def test_a_constraint_that_was_expected_to_refuse_has_its_own_error(merchant: Merchant, stp: StpSender) -> None:
    payment_of(merchant, stp, external_id="once").save()
    writes = Writes()
    writes.insert(payment_of(merchant, stp, external_id="once", clabe="646180157000000017"))
    writes.expect("payment_external_id_unique", LookupError("known already"))

    with pytest.raises(LookupError, match="known already"), transaction.atomic():
        writes.execute()

    assert Payment.objects.count() == 1


def test_whoever_asked_hears_that_the_database_refused(merchant: Merchant, stp: StpSender) -> None:
    heard: list[str] = []
    writes = Writes()
    writes.add(Sql("UPDATE merchants_merchant SET name = NULL RETURNING id"), on_error=lambda: heard.append("refused"))

    with pytest.raises(IntegrityError), transaction.atomic():
        writes.execute()

    assert heard == ["refused"]


def test_the_same_writes_go_on_with_another_statement(merchant: Merchant, stp: StpSender) -> None:
    payment = payment_of(merchant, stp)
    writes = Writes()
    writes.insert(payment)
    writes.execute()
    payment.cancel(at=clock.now())
    writes.update(payment, "status", "cancelled_at")

    writes.execute()

    assert Payment.objects.get(pk=payment.pk).status == "cancelled"


def test_services_join_the_unit_of_work_that_is_open(merchant: Merchant, stp: StpSender) -> None:
    with joined() as own:
        own.insert(payment_of(merchant, stp))
    theirs = Writes()
    with within(theirs), joined() as writes:
        writes.insert(payment_of(merchant, stp, clabe="646180157000000017"))

    assert writes is theirs
    assert Payment.objects.count() == 1
    theirs.execute()
    assert Payment.objects.count() == 2


def test_a_unit_of_work_does_not_open_within_another(merchant: Merchant) -> None:
    with unit_of_work(), pytest.raises(RuntimeError, match="already open"), unit_of_work():
        pass


def test_a_row_is_written_by_a_statement_only_once(merchant: Merchant, stp: StpSender) -> None:
    payment = payment_of(merchant, stp)
    with joined() as writes:
        writes.insert(payment)

    with pytest.raises(RuntimeError, match="by the same statement"), joined() as writes:  # noqa: PT012
        writes.update(payment, "status")
        writes.update(payment, "description")

    assert Payment.objects.get(pk=payment.pk).status == "pending"


def test_events_of_one_object_in_one_unit_count_on(merchant: Merchant, stp: StpSender) -> None:
    with unit_of_work():
        for number in range(3):
            event.record(merchant, livemode=False, type="payment.updated", obj={"id": "pay_1", "number": number})

    found = Event.objects.filter(object_id="pay_1").order_by("object_sequence")
    assert [(row.object_sequence, row.data["object"]["number"]) for row in found] == [(1, 0), (2, 1), (3, 2)]
    assert sorted(found, key=lambda row: row.sequence) == list(found)


def a_merchant_named(name: str) -> Sql:
    """Insert a merchant unless one has this name."""
    text = """
        INSERT INTO merchants_merchant (public_id, name, legal_name, status, created_at)
        SELECT 'mer_' || %s, %s, '', 'active', now()
        WHERE NOT EXISTS (SELECT FROM merchants_merchant WHERE name = %s) RETURNING id
    """
    return Sql(text, (name, name, name))


@pytest.mark.parametrize("commit", [False, True])
def test_a_condition_comes_first_and_nothing_is_written_without_it(
    request: pytest.FixtureRequest, commit: bool
) -> None:
    request.getfixturevalue("committed_db" if commit else "db")
    merchant, stp = request.getfixturevalue("merchant"), request.getfixturevalue("stp")
    heard: list[str] = []

    def write(name: str, payment: Payment) -> int | None:
        with transaction.atomic() if not commit else unit_of_work() as given:
            writes = given or Writes()
            writes.insert(payment)
            writes.insert(PaymentTransition(payment=payment, to_status="pending", cause="api", actor="a"))
            writes.only_if(a_merchant_named(name))
            writes.if_skipped(lambda: heard.append("otherwise"))
            if not commit:
                writes.execute()
        return writes.condition_id

    first = write("Sol", payment_of(merchant, stp))
    before = rows()
    # Its CLABE would be refused, if it were written.
    second = write("Sol", payment_of(merchant, stp))

    assert first == Merchant.objects.get(name="Sol").pk
    assert (second, heard) == (None, ["otherwise"])
    assert rows() == before
    assert PaymentTransition.objects.get().payment == Payment.objects.get()


def test_an_update_depends_on_the_condition_too(merchant: Merchant) -> None:
    def rename(name: str) -> int | None:
        writes = Writes()
        merchant.legal_name = name
        writes.update(merchant, "legal_name")
        writes.only_if(a_merchant_named("Sol"))
        writes.execute()
        return writes.condition_id

    assert rename("First") is not None
    assert rename("Second") is None

    assert Merchant.objects.get(pk=merchant.pk).legal_name == "First"


def test_a_statement_that_could_not_depend_on_the_condition_is_refused(merchant: Merchant) -> None:
    writes = Writes()
    writes.add(Sql("UPDATE merchants_merchant SET name = %s WHERE id = %s RETURNING id", ("Luna", merchant.pk)))
    writes.only_if(a_merchant_named("Sol"))

    with pytest.raises(ValueError, match="a row that the unit inserts"):
        writes.execute()


@pytest.mark.usefixtures("committed_db")
def test_what_comes_afterwards_knows_the_keys_within_the_transaction(merchant: Merchant, stp: StpSender) -> None:
    payment = payment_of(merchant, stp)

    def refuse() -> None:
        assert payment.pk is not None
        assert Payment.objects.filter(pk=payment.pk).exists()
        raise LookupError

    with pytest.raises(LookupError), unit_of_work() as writes:  # noqa: PT012 - the error comes when the block ends
        writes.insert(payment)
        writes.after_write(refuse)

    assert Payment.objects.count() == 0


def test_a_fetched_row_is_the_row_that_the_orm_reads(merchant: Merchant, stp: StpSender) -> None:
    payment = payment_of(merchant, stp)
    payment.save()

    (row,) = fetch(f"SELECT {column_names(Payment, 'p')} FROM payments_payment p WHERE p.id = $1", [payment.pk])

    read = hydrate(Payment, row)
    wanted = Payment.objects.get(pk=payment.pk)
    for field in Payment._meta.concrete_fields:
        assert getattr(read, field.attname) == getattr(wanted, field.attname), field.name
    with pytest.raises(AttributeError):
        read.status = "completed"  # still protected


def test_errors_are_djangos(db: None) -> None:
    with pytest.raises(ProgrammingError), transaction.atomic():
        fetch("SELECT nonsense", [])
    with pytest.raises(DataError), transaction.atomic():
        fetch("SELECT 1 / 0", [])


def test_a_new_row_without_an_object_is_the_row_of_an_object(merchant: Merchant, stp: StpSender) -> None:
    payment = payment_of(merchant, stp)
    values = {"to_status": "pending", "cause": "api", "actor": "key_1", "created_at": clock.now()}
    writes = Writes()
    writes.insert(payment)
    writes.insert_new(PaymentTransition, payment=payment, **values)
    writes.execute()

    writes.insert(PaymentTransition(payment=payment, **values))
    writes.insert_new(PaymentTransition, payment=payment, **values)
    writes.execute()

    first, *others = PaymentTransition.objects.all()
    for other in others:
        assert values_of(other, but={"id"}) == values_of(first, but={"id"})
    assert len(others) == 2
    with pytest.raises(DataError), transaction.atomic():
        writes.insert_new(PaymentTransition, payment=payment, **values | {"actor": "a\0"})
