"""core.state: the protected status field, the refresh that keeps it protected, the list of legal changes."""

from __future__ import annotations

import io
import threading

import pytest
from django.db import models
from django_fsm import TransitionNotAllowed

from core.state import Origin, StatusField, TransitionRow, legal_changes
from kyc.models import Case
from kyc.services import case as case_service
from kyc.services import document
from merchants.models import Merchant
from payments.models import Deposit, Payment
from tests.concurrency.threads import at_once
from webhooks.models import ProviderEvent

ANA = Origin(TransitionRow.Cause.STAFF, "user:ana")
STATEFUL = [Payment, Deposit, Case, ProviderEvent]


@pytest.fixture
def case(merchant):
    return Case.objects.create(merchant=merchant)


@pytest.mark.parametrize("model", STATEFUL)
def test_migrations_know_a_status_as_a_plain_text_column(model):
    _, path, args, kwargs = model._meta.get_field("status").deconstruct()

    assert path == "django.db.models.CharField"
    assert args == []
    assert set(kwargs) <= {"choices", "default", "max_length", "verbose_name"}


def test_a_status_field_survives_being_deconstructed_and_built_again():
    name, path, args, kwargs = StatusField(choices=[("a", "A")], default="a").deconstruct()

    rebuilt = models.CharField(*args, **kwargs)

    assert (name, path) == (None, "django.db.models.CharField")
    assert (rebuilt.max_length, rebuilt.default, rebuilt.choices) == (32, "a", [("a", "A")])


def test_assigning_a_status_is_refused_and_changes_nothing(case):
    with pytest.raises(AttributeError, match="Direct status modification is not allowed"):
        case.status = "approved"

    assert case.status == "draft"


def test_a_transition_that_is_not_declared_is_refused_and_changes_nothing(case):
    with pytest.raises(TransitionNotAllowed):
        case.approve(reason="seen", actor="ana")

    assert (case.status, case.decision_reason, case.decided_by, case.decided_at) == ("draft", "", "", None)


def submit() -> None:
    """Hand the only case in, with a document, in another object than the test's."""
    pk, pdf = Case.objects.get().pk, io.BytesIO(b"%PDF-1.4\n%%EOF\n")
    document.add(pk, document_type="official_id", name="ine.pdf", content=pdf, uploaded_by="ana")
    case_service.submit(pk, origin=ANA)


def test_a_refresh_reads_what_somebody_else_wrote(case):
    submit()

    case.refresh_from_db()

    assert case.status == "submitted"
    with pytest.raises(AttributeError):
        case.status = "draft"


def test_a_refresh_of_one_field_leaves_the_others(case):
    submit()
    case_service.approve(case.pk, reason="seen", origin=ANA)

    case.refresh_from_db(fields=["decided_by"])

    assert (case.status, case.decision_reason, case.decided_by) == ("draft", "", "user:ana")
    case.refresh_from_db(fields=["status"])
    assert case.status == "approved"


def test_a_refresh_of_a_row_that_is_gone_leaves_value_and_protection(case):
    case.pk += 1_000_000

    with pytest.raises(Case.DoesNotExist):
        case.refresh_from_db()

    assert case.status == "draft"
    assert Case._meta.get_field("status").protected
    with pytest.raises(AttributeError):
        case.status = "approved"
    other = Case.objects.get()
    with pytest.raises(AttributeError):
        other.status = "approved"


def test_a_deferred_status_is_read_when_it_is_asked_for_and_protected_then(case):
    later = Case.objects.defer("status").get()
    assert later.get_deferred_fields() == {"status"}

    later.refresh_from_db()

    assert later.get_deferred_fields() == {"status"}
    assert later.status == "draft"
    assert later.get_deferred_fields() == set()
    with pytest.raises(AttributeError):
        later.status = "approved"


def test_a_transition_starts_from_a_deferred_status(case):
    later = Case.objects.only("id").get()

    later.submit()

    assert later.status == "submitted"


def test_a_refresh_forgets_prefetched_and_related_objects(case, merchant):
    case = Case.objects.select_related("merchant").prefetch_related("documents", "transitions").get()
    Merchant.objects.update(name="Café Sol")
    assert case.merchant.name == "Café Luna"

    case.refresh_from_db()

    assert case.merchant.name == "Café Sol"
    assert case._prefetched_objects_cache == {}


def test_a_refresh_keeps_its_given_fields_as_a_name_of_a_prefetch(case):
    case = Case.objects.prefetch_related("documents").get()

    case.refresh_from_db(fields=["documents"])

    assert "documents" not in case._prefetched_objects_cache
    assert case.status == "draft"


def test_a_refresh_under_way_in_one_thread_protects_every_other(committed_db, merchant, monkeypatch):
    case = Case.objects.create(merchant=merchant)
    refresh, under_way, go_on = models.Model.refresh_from_db, threading.Event(), threading.Event()

    def slow_refresh(self, *args, **kwargs):
        under_way.set()
        go_on.wait(300)
        return refresh(self, *args, **kwargs)

    monkeypatch.setattr(models.Model, "refresh_from_db", slow_refresh)

    def assign():
        mine = Case.objects.get(pk=case.pk)
        under_way.wait(300)
        try:
            mine.status = "approved"
        except AttributeError:
            return mine.status
        finally:
            go_on.set()

    assert at_once([case.refresh_from_db, assign]) == [None, "draft"]


def test_threads_that_refresh_at_once_never_disturb_each_other(committed_db, merchant):
    case = Case.objects.create(merchant=merchant)

    def refresh():
        mine, refused = Case.objects.get(pk=case.pk), 0
        for _ in range(50):
            mine.refresh_from_db()
            try:
                mine.status = "approved"
            except AttributeError:
                refused += 1
        return mine.status, refused

    assert at_once([refresh] * 8) == [("draft", 50)] * 8


@pytest.mark.parametrize(
    ("model", "changes"),
    [
        (
            Payment,
            [
                ("cancelled", "completed"),
                ("completed", "reversed"),
                ("expired", "completed"),
                ("pending", "cancelled"),
                ("pending", "completed"),
                ("pending", "expired"),
                ("pending", "failed"),
                ("pending", "processing"),
                ("processing", "cancelled"),
                ("processing", "completed"),
                ("processing", "expired"),
                ("processing", "failed"),
            ],
        ),
        (
            Deposit,
            [
                ("matched", "suspended"),
                ("received", "credited"),
                ("received", "suspended"),
                ("suspended", "credited"),
                ("suspended", "matched"),
            ],
        ),
        (Case, [("draft", "submitted"), ("rejected", "draft"), ("submitted", "approved"), ("submitted", "rejected")]),
        (
            ProviderEvent,
            [
                ("conflict", "resolved"),
                ("conflict", "retry"),
                ("dead", "retry"),
                ("ignored", "retry"),
                ("received", "conflict"),
                ("received", "dead"),
                ("received", "ignored"),
                ("received", "processed"),
                ("received", "retry"),
                ("resolved", "retry"),
                ("retry", "conflict"),
                ("retry", "dead"),
                ("retry", "ignored"),
                ("retry", "processed"),
                ("retry", "retry"),
            ],
        ),
    ],
)
def test_the_legal_changes_are_the_declared_transitions(model, changes):
    assert legal_changes(model) == changes
