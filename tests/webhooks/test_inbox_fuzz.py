"""The inbox with mutated notices and secrets: nothing forged is accepted, and nothing causes a 5xx."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payments.models import Payment
from tests.problems import rows
from tests.promises import pick
from webhooks.models import ProviderEvent

QUICK = settings(max_examples=pick(170, 500))


def mutated(raw: bytes, position: int, kind: str, byte: int) -> bytes:
    """``raw`` with one byte flipped, dropped, doubled or put in, or cut there."""
    at = position % len(raw)
    changed = {
        "flip": raw[:at] + bytes([raw[at] ^ (byte or 1)]) + raw[at + 1 :],
        "drop": raw[:at] + raw[at + 1 :],
        "double": raw[:at] + raw[at : at + 1] + raw[at:],
        "insert": raw[:at] + bytes([byte]) + raw[at:],
        "cut": raw[: at or 1],
    }
    return changed[kind]


mutations = st.tuples(
    st.integers(0, 5_000), st.sampled_from(["flip", "drop", "double", "insert", "cut"]), st.integers(1, 255)
)


@pytest.mark.promise("P12", "mutations of a signed event and of its signature")
@pytest.mark.django_db
@QUICK
@given(of_header=st.booleans(), mutation=mutations)
def test_no_mutation_of_a_signed_event_is_believed_or_breaks_us(trials, merchant, conekta, of_header, mutation):
    raw = conekta.event(Payment(public_id="pay_00000000000000000000000000", amount=100_000))
    digest = base64.b64encode(conekta.sign(raw))
    sent = (raw, mutated(digest, *mutation)) if of_header else (mutated(raw, *mutation), digest)
    before = rows()

    answer = conekta.post(sent[0], digest=sent[1].decode("latin-1"))

    unchanged = sent == (raw, digest)
    assert answer.status_code == (200 if unchanged else 401), answer.content
    assert unchanged or rows() == before
    trials.done(unit="mutations")


@pytest.mark.promise("P12", "mutations of the secret that STP sends")
@pytest.mark.django_db
@QUICK
@given(mutation=mutations)
def test_no_mutation_of_stps_secret_is_believed_or_breaks_us(trials, stp, mutation):
    header = b"Basic " + base64.b64encode(f"{stp.username}:{stp.secret}".encode())
    sent = mutated(header, *mutation).decode("latin-1")
    before = rows()

    answer = stp.post(stp.deposit("646180157099999997", 100), authorization=sent)

    # The scheme's name is not part of the secret: RFC 9110 lets it be written in any case.
    accepted = sent == header.decode() or sent.lower()[:6] == "basic " and sent[6:] == header.decode()[6:]
    assert answer.status_code == (200 if accepted else 401)
    assert accepted or rows() == before
    trials.done(unit="mutations")


@pytest.mark.promise("P27", "authentic notices with mutated bodies: never 5xx")
@pytest.mark.django_db
@QUICK
@given(mutation=mutations, signed=st.booleans())
def test_no_content_of_an_authentic_notice_causes_a_5xx(trials, merchant, stp, conekta, mutation, signed):
    ghost = Payment(public_id="pay_00000000000000000000000000", amount=100_000)

    if signed:
        answer = conekta.post(mutated(conekta.event(ghost), *mutation))
    else:
        answer = stp.post(mutated(stp.deposit("646180157099999997", 100_000), *mutation))

    assert answer.status_code in ((200,) if signed else (200, 400)), answer.content
    left = ProviderEvent.objects.filter(status__in=["received", "retry"])
    assert {(e.account.provider, e.status, e.last_error[:12]) for e in left} <= {("conekta", "retry", "unreadable: ")}
    trials.done(unit="notices")


@pytest.mark.promise("P27", "states of sent orders with mutated bodies: never 5xx")
@pytest.mark.django_db
@QUICK
@given(mutation=mutations)
def test_no_content_of_a_state_of_order_causes_a_5xx(trials, stp, mutation):
    raw = mutated(b'{"id": 21784922, "estado": "LIQUIDACION", "causaDevolucion": "", "tsLiquidacion": "1"}', *mutation)
    credentials = base64.b64encode(f"{stp.username}:{stp.secret}".encode()).decode()
    header = {"Authorization": f"Basic {credentials}"}

    answer = stp.client.post("/webhooks/stp/orders", raw, content_type="application/json", headers=header)

    assert (answer.status_code, answer.content) == (200, b'{"mensaje":"recibido"}')
    trials.done(unit="notices")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=45),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@pytest.mark.promise("P27", "any JSON value in any field of a deposit: never 5xx")
@pytest.mark.django_db
@QUICK
@given(index=st.integers(0, 19), value=json_values)
def test_no_value_in_a_deposit_breaks_us(trials, stp, index, value):
    names = sorted(json.loads(stp.deposit("646180157099999997", 100_000)))

    answer = stp.post(stp.deposit("646180157099999997", 100_000, **{names[index % len(names)]: value}))

    assert answer.status_code in (200, 400), answer.content
    assert ProviderEvent.objects.filter(status__in=["received", "retry"]).count() == 0
    trials.done(unit="notices")
