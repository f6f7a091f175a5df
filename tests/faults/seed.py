"""Run in the site's environment: make merchants, accounts, payments, notices or endpoints; answers JSON."""

from __future__ import annotations

import hashlib
import json
import sys
from typing import Any

import django


def house(user: str, secret: str, public_key: str) -> dict[str, str]:
    """The merchant, its fees and key, and an account at each provider."""
    from merchants.models import Merchant
    from merchants.services import api_key
    from payments.models import FeeRule, ProviderAccount

    merchant = Merchant.objects.create(name="Tienda", legal_name="Tienda SA de CV")
    for method, percent, fixed in (("spei", "1", 0), ("oxxo", "2.6", 300)):
        FeeRule.objects.create(merchant=merchant, method=method, percent=percent, fixed=fixed)
    ProviderAccount.objects.create(
        provider="stp",
        livemode=False,
        name="EMPRESA_DEMO",
        webhook_username=user,
        webhook_secret_sha256=hashlib.sha256(secret.encode()).hexdigest(),
        clabe_prefix="6461801570",
        clabe_sequence=1,
    )
    ProviderAccount.objects.create(
        provider="conekta",
        livemode=False,
        name="Conekta",
        base_url="http://127.0.0.1:9/conekta",
        credentials={"api_key": "key_test_only"},
        webhook_public_keys=[public_key],
    )
    return {"secret": api_key.create(merchant, livemode=False)[1]}


def orders(method: str, payments: int, amount: int) -> list[dict[str, str]]:
    """So many pending payments of the merchant."""
    from datetime import timedelta

    from django.db import transaction

    from core import clock
    from core.state import Origin, TransitionRow
    from merchants.models import Merchant
    from payments.models import Payment
    from payments.services import payment

    merchant, origin = Merchant.objects.order_by("pk")[0], Origin(TransitionRow.Cause.API, "key")
    wanted = payment.NewPayment(
        method=Payment.Method(method), amount=amount, expires_at=clock.now() + timedelta(days=1)
    )
    with transaction.atomic():
        made = [payment.create(merchant, livemode=False, wanted=wanted, origin=origin) for _ in range(payments)]
    return [{"public_id": one.public_id, "clabe": one.clabe or ""} for one in made]


def notices(bodies: list[str]) -> int:
    """Store Conekta's notices as if the process had died before it applied them: they are the worker's at once."""
    from datetime import timedelta

    from django.conf import settings
    from django.db import transaction

    from core import clock
    from payments.models import ProviderAccount
    from webhooks.inbound.models import Channel
    from webhooks.inbound.services.store import IncomingNotice, insert

    account = ProviderAccount.objects.get(provider="conekta")
    received_at = clock.now() - settings.INBOX_STALE_AFTER - timedelta(seconds=1)
    with transaction.atomic():
        for text in bodies:
            notice, body = (
                IncomingNotice(account, Channel.CONEKTA_EVENTS, text.encode(), received_at),
                json.loads(text),
            )
            insert(notice, notice.event(digest=notice.digest, event_id=body["id"], event_type=body["type"]))
    return len(bodies)


def endpoints(urls: list[str]) -> list[dict[str, Any]]:
    """A merchant with a webhook endpoint for all its events, for each URL."""
    from django.db import transaction

    from merchants.models import Merchant
    from webhooks.outbound.services import endpoint

    made = []
    with transaction.atomic():
        for url in urls:
            merchant = Merchant.objects.create(name="Tienda", legal_name="Tienda SA de CV")
            wanted = endpoint.NewEndpoint(url=url, events=["*"])
            found, secret = endpoint.create(merchant, livemode=False, wanted=wanted)
            made.append({"pk": found.pk, "merchant": merchant.pk, "secret": secret})
    return made


def main(given: dict[str, Any]) -> None:
    django.setup()
    make = house if "user" in given else notices if "bodies" in given else endpoints if "urls" in given else orders
    sys.stdout.write(json.dumps(make(**given)))


if __name__ == "__main__":
    main(json.load(sys.stdin))
