"""Every column of every table is decided: frozen, guarded, or free for a reason that is written down."""

from __future__ import annotations

from django.db import models
from django.db.models.base import ModelBase
from django.test.utils import isolate_apps

from core import columns
from core.db import ROWS, Frozen, NoDelete, StateGuard
from core.guards import Recorded
from payments_site import columns as site_columns

OURS = site_columns.our_models()


def model_of(name: str, **attributes: object) -> type[models.Model]:
    """A model that no app knows."""
    meta = type("Meta", (), {"app_label": "nowhere", "triggers": attributes.pop("triggers", []), "managed": True})
    fields = {
        "id": models.BigAutoField(primary_key=True),
        "amount": models.BigIntegerField(),
        "note": models.TextField(),
    }
    with isolate_apps():
        return ModelBase(  # type: ignore[return-value]
            name, (models.Model,), {"__module__": __name__, "Meta": meta, **fields, **attributes}
        )


def test_every_column_of_every_table_is_decided():
    assert {"payments_payment", "payments_feerule", "kyc_case", "ledger_entry", "staff_vote"} <= {
        model._meta.db_table for model in OURS
    }
    assert columns.undecided(OURS) == []


def test_a_new_column_is_undecided_until_its_model_decides():
    nothing = model_of("Nothing")
    partly = model_of("Partly", triggers=[NoDelete(), Frozen("id", "amount")])
    wholly = model_of("Wholly", triggers=[NoDelete(), Frozen("id", "amount")], free_columns={"note": "a remark"})

    assert columns.undecided([nothing]) == [f"nowhere_nothing.{name}" for name in ("id", "amount", "note", ROWS)]
    assert columns.undecided([partly]) == ["nowhere_partly.note"]
    assert columns.undecided([wholly]) == []


def test_a_free_column_exists_and_no_guard_decides_it():
    wrong = model_of("Wrong", triggers=[Frozen("amount")], free_columns={"amount": "why not", "gone": "renamed"})

    assert columns.contradictions([wrong]) == ["nowhere_wrong.amount", "nowhere_wrong.gone"]
    assert columns.contradictions(OURS) == []


def test_a_reason_is_given_for_everything_that_is_free():
    reasons = [reason for model in OURS for reason in getattr(model, "free_columns", {}).values()]

    assert [reason for reason in [*reasons, *site_columns.LIBRARIES.values()] if len(reason.split()) < 2] == []


def test_the_page_of_columns_is_up_to_date():
    assert site_columns.copy().read_text() == site_columns.page(), "run: make columns"


def test_what_is_recorded_has_a_state_that_is_guarded():
    for model in OURS:
        triggers = getattr(model._meta, "triggers", ())
        if any(isinstance(trigger, Recorded) for trigger in triggers):
            assert any(isinstance(trigger, StateGuard) for trigger in triggers), model
