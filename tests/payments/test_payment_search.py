"""The filter ``q``: every text of a payment, ignoring case and accents, without special characters."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from django.db import connection, transaction
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from core.search import spellings
from payments.models import Payment
from tests.history import copy_of
from tests.problems import assert_problem

pytestmark = pytest.mark.django_db

SPEI = {"method": "spei", "amount": 100_000, "currency": "MXN"}


def search(api, q):
    answer = api.get(f"/v1/payments?limit=100&q={quote(q)}")
    assert answer.status_code == 200, answer.content
    return [payment["id"] for payment in answer.json()["data"]]


def fold(text):
    with connection.cursor() as cursor:
        cursor.execute("SELECT public.search_fold(%s)", [text])
        return cursor.fetchone()[0]


@pytest.fixture
def paid(api, stp):
    """A paid payment of which everything that can be looked for is known, and another one beside it."""
    body = SPEI | {"external_id": "Pedido-77%", "customer": {"name": "María Peña", "email": "mp_@tienda.mx"}}
    created = api.post("/v1/payments", body, key="paid").json()
    api.post("/v1/payments", SPEI | {"external_id": "otro"}, key="other")
    answer = stp.post(
        stp.deposit(created["spei"]["clabe"], 100_000, claveRastreo="MBAN0100ABC", nombreOrdenante="JOSÉ NUÑEZ Ü")
    )
    assert answer.status_code == 200
    return Payment.objects.get(public_id=created["id"])


@pytest.mark.parametrize(
    "q",
    ["pedido-77", "DIDO-77%", "77%", "maria", "MARÍA PEÑA", "ría pe", "pena", "mp_@", "TIENDA.mx", "mban0100abc",
     "100AB", "jose nunez u", "José Nuñez", "NUN\u0303EZ", "  pena  ", "pe", "ñu", "j", "7" * 0 + "pedido"],
)  # fmt: skip
def test_it_finds_by_each_text_in_any_case_with_or_without_accents(api, paid, q):
    assert search(api, q) == [paid.public_id]


def test_it_finds_by_the_clabe_and_any_part_of_it(api, paid):
    other = Payment.objects.exclude(pk=paid.pk).get()

    assert search(api, paid.clabe) == [paid.public_id]
    assert search(api, paid.reference_number) == [paid.public_id]
    assert search(api, "646180157") == [other.public_id, paid.public_id]


BETWEEN = [" ", "  ", "-", " - ", ".", *"\u00a0\u00ad\u2007\u2009\u200b\u202f\u2060\u3000\ufeff"]  # blanks of any width
BETWEEN += [*"\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d"]  # hyphens and dashes
"""What people and programs put between the groups of a number."""


@pytest.mark.parametrize("between", BETWEEN)
def test_it_finds_an_identifier_that_was_copied_in_groups(api, paid, between):
    cash = copy_of(paid, voucher_reference="93507299104432")

    assert search(api, between.join([paid.clabe[:4], paid.clabe[4:8], paid.clabe[8:]])) == [paid.public_id]
    assert search(api, between.join(["9350", "7299", "1044", "32"])) == [cash.public_id]
    assert search(api, between.join(["MBAN", "0100", "ABC"])) == [paid.public_id]
    assert search(api, f"{between}{paid.clabe}{between}") == [paid.public_id]


@pytest.mark.parametrize("written", ["A-17", "2026-11-000123", "Lote 100 200 300", "calle 17 norte", "1,250.50"])
def test_a_text_with_separators_of_its_own_is_still_found(api, paid, written):
    other = copy_of(paid, external_id=written)

    assert search(api, written) == search(api, written.lower()) == [other.public_id]


@pytest.mark.parametrize("q", ["6461 9999 7000", "77 - pe", "a-1", "9350-7299", "mar ia", "100 200"])
def test_a_joined_text_finds_nothing_that_is_not_there(api, paid, q):
    assert search(api, q) == []


@pytest.mark.parametrize(
    "q", ["77_", "7%7", "%", "_", "%%%", "mp%@", "\\", "pedido.77", "maria  pena", "ped*", "ar", "'; DROP TABLE x; --"]
)
def test_no_character_stands_for_another(api, paid, q):
    assert search(api, q) == []


def test_texts_of_two_fields_never_make_one(api, paid):
    # One text ends with "pena", another begins with "mp_".
    for between in ("", " ", "\u2028", "\u00a0"):
        assert search(api, f"pena{between}mp_") == []


def test_one_or_two_characters_are_found_where_a_word_begins(api, paid):
    assert search(api, "ma") == search(api, "P") == search(api, "nú") == [paid.public_id]
    assert search(api, "ri") == search(api, "ib") == []


def test_nothing_but_blanks_is_refused(api, paid):
    assert_problem(api.get("/v1/payments?q=%20%20"), 400, "invalid_request", "q")


def test_it_stays_with_the_merchant_and_its_mode(api, paid, merchant, other_merchant, make_api):
    assert search(make_api(other_merchant), "maria") == []
    assert search(make_api(merchant, livemode=True), "maria") == []


_CHARACTERS = st.sampled_from("%_\\ aAáÁbñÑ1-@.'\"😀ßİ％＿K")
_TEXTS = st.text(_CHARACTERS, min_size=1, max_size=12) | st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=12
)


@pytest.mark.promise("P28", "any text in any text, against Python's `in`", unit="examples")
@settings(max_examples=150)
@given(text=_TEXTS, data=st.data())
@example(text="100%_\\", data=None)
def test_it_finds_what_pythons_in_finds_in_folded_text(text, data, api, stp):
    if data is None:
        wanted = "%_\\"
    else:
        start = data.draw(st.integers(0, len(text) - 1))
        wanted = data.draw(_TEXTS | st.just(text[start:]) | st.just(text[start : start + 4]))
    assume(wanted.strip())
    if not Payment.objects.exists():
        api.post("/v1/payments", SPEI)
    folded, looked_for = fold(text), [fold(one.strip(" ")) for one in spellings(wanted)]
    assume(len(looked_for[0]) >= 3)
    with transaction.atomic():
        payment = copy_of(Payment.objects.get(), customer_name=text)

        # The CLABE is a text of the payment too.
        expected = any(one in f" {folded}" or one in f" {payment.clabe}" for one in looked_for)
        assert (payment.public_id in search(api, wanted)) == expected
        transaction.set_rollback(True)


def test_folding_leaves_no_accent_and_no_capital():
    assert fold("ÁÉÍÓÚÜÑáéíóúüñ") == "aeiouunaeiouun"
    assert fold("Straße Œuvre Łódź") == "strasse oeuvre lodz"
    assert fold("e\u0301") == fold("é") == "e"
    assert fold("100% _\\") == "100% _\\"
