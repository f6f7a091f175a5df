"""JSON representation of payments."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from core.clock import to_rfc3339
from core.mx import clabe
from payments.models import Payment
from payments.providers import registry
from payments.resources.customer import customer


def payment(record: Payment) -> dict[str, Any]:
    """The payment in API responses and events."""
    method = registry.method(record.method)
    return {
        "id": record.public_id,
        "object": "payment",
        "livemode": record.livemode,
        "created_at": to_rfc3339(record.created_at),
        "status": record.status,
        "method": record.method,
        "amount": record.amount,
        "currency": record.currency,
        "amount_received": record.amount_received,
        "amount_refunded": record.amount_refunded,
        "amount_refundable": record.amount_refundable,
        "fee": record.fee,
        "fee_tax": record.fee_tax,
        "net": record.net,
        "description": record.description or None,
        "external_id": record.external_id,
        "clabe_id": record.reusable_clabe.public_id if record.reusable_clabe else None,
        "customer": customer(record),
        "provider": method.provider,
        "provider_reference": record.order_id if method.needs_order else record.clabe,
        "failure": {"code": record.failure_code, "message": record.failure_message} if record.failure_code else None,
        "completed_at": to_rfc3339(record.completed_at) if record.completed_at else None,
        "expires_at": to_rfc3339(record.expires_at),
        "payment_page_url": payment_page_url(record),
        "metadata": record.metadata,
        record.method: _oxxo(record) if method.needs_order else _spei(record),
    }


def payment_page_url(record: Payment) -> str:
    """URL of the page that shows the payer where and how much to pay."""
    return f"{settings.SITE.base_url}/pay/{record.public_id}"


def _spei(record: Payment) -> dict[str, Any]:
    payer = None
    if record.payer_name or record.payer_account:
        payer = {
            "name": record.payer_name,
            "account_masked": clabe.mask(record.payer_account),
            "bank_name": clabe.institution_name(record.payer_institution),
        }
    return {
        "clabe": record.clabe,
        "bank_name": clabe.bank_name(record.clabe or ""),
        "beneficiary_name": record.merchant.name,
        "reference_number": record.reference_number,
        "tracking_key": record.tracking_key or None,
        "payer": payer,
        "operating_date": record.operating_date.isoformat() if record.operating_date else None,
        "cep_url": None,
    }


def _oxxo(record: Payment) -> dict[str, Any] | None:
    if not record.voucher_reference:
        return None
    return {
        "reference": record.voucher_reference,
        "barcode_url": record.voucher_barcode_url,
        "voucher_url": payment_page_url(record),
        "store_name": record.voucher_store_name,
    }
