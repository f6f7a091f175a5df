"""Messages to a merchant's technical contact about its endpoints."""

from __future__ import annotations

import logging

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from core.db import transaction_forbidden
from webhooks.outbound.models import Endpoint

logger = logging.getLogger(__name__)


@transaction_forbidden
def tell(endpoint_id: int, event_type: str) -> None:
    """Send the message for an event ``webhook_endpoint.…``, in Spanish. Raises ``OSError`` and SMTP's errors."""
    endpoint = Endpoint.objects.select_related("merchant").get(pk=endpoint_id)
    address = endpoint.merchant.technical_email
    if not address or event_type not in TEXTS:
        return
    if not settings.DEFAULT_FROM_EMAIL:
        logger.warning("no mail server: a merchant was not told about its endpoint", extra={"event_type": event_type})
        return
    subject, text = TEXTS[event_type]
    with translation.override("es-mx"):
        values = {"url": endpoint.url, "id": endpoint.public_id, "mode": _("live") if endpoint.livemode else _("test")}
        EmailMessage(subject=str(subject), body=str(text) % values, to=[address]).send()


TEXTS = {
    "webhook_endpoint.failing": (
        _("Your webhook endpoint is failing"),
        _(
            "Deliveries to %(url)s (%(id)s, mode: %(mode)s) have been failing for some minutes. We keep trying at a "
            "slower pace. If it fails for five days we pause it and keep your events."
        ),
    ),
    "webhook_endpoint.paused": (
        _("Your webhook endpoint is paused"),
        _(
            "Deliveries to %(url)s (%(id)s, mode: %(mode)s) have been failing for five days. We keep your events and "
            "try one delivery each hour; as soon as one succeeds you get everything that you missed."
        ),
    ),
    "webhook_endpoint.recovered": (
        _("Your webhook endpoint works again"),
        _("A delivery to %(url)s (%(id)s, mode: %(mode)s) succeeded. You now get what you missed."),
    ),
    "webhook_endpoint.disabled": (
        _("Your webhook endpoint is disabled"),
        _(
            "%(url)s (%(id)s, mode: %(mode)s) gets no more events: it answered 410 Gone, or it was disabled. Enable it "
            "over the API to get events again."
        ),
    ),
}
"""Type of event -> subject and text."""
