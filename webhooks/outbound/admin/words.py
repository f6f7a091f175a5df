"""Words, colours and columns that the pages of endpoints and deliveries share."""

from __future__ import annotations

from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from core.admin import EMPTY, badge, breakable, column, label
from webhooks.outbound.models import Delivery, DeliveryAttempt, Endpoint

ENDPOINT_COLOURS = {
    Endpoint.Status.ACTIVE: "success",
    Endpoint.Status.FAILING: "warning",
    Endpoint.Status.PAUSED: "danger",
    Endpoint.Status.DISABLED: "",
}
DELIVERY_COLOURS = {
    Delivery.Status.PENDING: "info",
    Delivery.Status.DELIVERED: "success",
    Delivery.Status.EXHAUSTED: "danger",
    Delivery.Status.CANCELLED: "",
    Delivery.Status.PAUSED: "warning",
}

_ERRORS = {
    "timeout": _("it did not answer within 15 seconds"),
    "refused_url": _("the URL is not allowed"),
    "refused_address": _("the host has an address that is not public"),
    "unresolvable": _("the host's name cannot be resolved"),
    "connection": _("no connection, or it broke off"),
    "tls": _("TLS failed: certificate or version"),
    "protocol": _("the answer is not valid HTTP"),
    "too_large": _("the answer has more than 64 KiB"),
    "interrupted": _("our process ended; the outcome is unknown"),
    "internal": _("a fault of ours"),
}


def outcome(attempt: DeliveryAttempt) -> str:
    """The HTTP status of the answer, or why there is no complete one."""
    is_success = not attempt.error and attempt.status_code is not None and attempt.status_code // 100 == 2
    words = [str(attempt.status_code)] if attempt.status_code is not None else []
    words += [str(_ERRORS.get(attempt.error, attempt.error))] if attempt.error else []
    return label(": ".join(words) or EMPTY, "success" if is_success else "danger")


def endpoint_status(endpoint: Endpoint) -> str:
    """The status, or that it is deleted, and why it is disabled."""
    if endpoint.deleted_at is not None:
        return label(_("deleted"))
    text = endpoint.get_status_display()
    if endpoint.disabled_reason:
        text = f"{text}: {endpoint.get_disabled_reason_display()}"
    return label(text, ENDPOINT_COLOURS[Endpoint.Status(endpoint.status)])


def code_block(text: str) -> str:
    """Text of a machine, its lines kept."""
    return format_html(
        '<pre class="overflow-x-auto" style="white-space: pre-wrap; overflow-wrap: anywhere;">{}</pre>', text
    )


endpoint_status_column = column("status", _("status"), endpoint_status, order="status")
delivery_status_column = badge("status", DELIVERY_COLOURS, _("status"))
url_column = column("url", "URL", lambda endpoint: breakable(endpoint.url, min_width="10rem"), order="url")
events_column = column(
    "events", _("events"), lambda endpoint: breakable(", ".join(endpoint.events or ()), min_width="7rem")
)
