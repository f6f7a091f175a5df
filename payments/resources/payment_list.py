"""The JSON representation of payments as SQL, for lists.

Equivalent to ``payments.resources.payment``: a test compares both in every situation, another one in ``make check``
compares their members.
"""

from __future__ import annotations

from django.conf import settings

from core import sql_json as js
from core.mx import clabe
from payments.models import Payment

SOURCE = f"(SELECT {js.catalogue(clabe.INSTITUTIONS | clabe.BANKS)} AS names) banks"
"""The second FROM item of ``row``, next to ``p``: names of institutions (five digits) and banks (three digits)."""

_REUSABLE_CLABE = "(SELECT c.public_id FROM public.payments_clabe c WHERE c.id = p.reusable_clabe_id)"
_IS_SPEI = f"p.method = '{Payment.Method.SPEI.value}'"


def row() -> str:
    """SQL of the JSON of row ``p`` of payments_payment; its parameter ``$1`` is the merchant's name as JSON."""
    by_method = js.when(_IS_SPEI, js.members_of({"spei": _spei()}), js.members_of({"oxxo": _oxxo()}))
    return js.one(js.obj(members(), more=by_method))


def members() -> dict[str, js.Value]:
    """SQL of the members common to all methods of payment."""
    return {
        "id": js.plain("p.public_id"),
        "object": js.constant("payment"),
        "livemode": js.boolean("p.livemode"),
        "created_at": js.moment("p.created_at"),
        "status": js.plain("p.status"),
        "method": js.plain("p.method"),
        "amount": "p.amount",
        "currency": js.plain("p.currency"),
        "amount_received": "p.amount_received",
        "amount_refunded": "p.amount_refunded",
        "amount_refundable": "greatest(0, p.amount_received - p.amount_refunded - p.refund_reserved)",
        "fee": "p.fee",
        "fee_tax": "p.fee_tax",
        "net": "p.amount_received - p.fee - p.fee_tax",
        "description": _text_or_null("p.description"),
        "external_id": js.or_null("p.external_id", js.text("p.external_id")),
        "clabe_id": js.or_null("p.reusable_clabe_id", js.plain(_REUSABLE_CLABE)),
        "customer": js.when(
            "p.customer_name <> '' OR p.customer_email <> '' OR p.customer_phone <> ''",
            js.obj(
                {
                    "name": _text_or_null("p.customer_name"),
                    "email": _text_or_null("p.customer_email"),
                    "phone": _text_or_null("p.customer_phone"),
                }
            ),
        ),
        "provider": js.when(_IS_SPEI, js.constant("stp"), js.constant("conekta")),
        "provider_reference": js.when(
            _IS_SPEI,
            js.or_null("p.clabe", js.text("p.clabe")),
            js.or_null("p.order_id", js.text("p.order_id")),
        ),
        "failure": js.or_null_if_empty(
            "p.failure_code",
            js.obj({"code": js.text("p.failure_code"), "message": js.text("p.failure_message")}),
        ),
        "completed_at": js.or_null("p.completed_at", js.moment("p.completed_at")),
        "expires_at": js.moment("p.expires_at"),
        "payment_page_url": _page_url(),
        "metadata": "p.metadata",
    }


def _spei() -> js.Pieces:
    payer = js.obj(
        {
            "name": js.text("p.payer_name"),
            "account_masked": _masked("p.payer_account"),
            "bank_name": js.looked_up("banks.names", "p.payer_institution"),
        }
    )
    return js.obj(
        {
            "clabe": js.or_null("p.clabe", js.plain("p.clabe")),
            "bank_name": js.looked_up("banks.names", "left(p.clabe, 3)"),
            "beneficiary_name": "$1::text",
            "reference_number": js.plain("p.reference_number"),
            "tracking_key": _text_or_null("p.tracking_key"),
            "payer": js.when("p.payer_name <> '' OR p.payer_account <> ''", payer),
            "operating_date": js.or_null("p.operating_date", js.plain("p.operating_date")),
            "cep_url": js.constant(None),
        }
    )


def _oxxo() -> str:
    return js.or_null_if_empty(
        "p.voucher_reference",
        js.obj(
            {
                "reference": js.text("p.voucher_reference"),
                "barcode_url": js.text("p.voucher_barcode_url"),
                "voucher_url": _page_url(),
                "store_name": js.text("p.voucher_store_name"),
            }
        ),
    )


def _text_or_null(column: str) -> str:
    return js.or_null_if_empty(column, js.text(column))


def _page_url() -> js.Pieces:
    return js.plain("p.public_id", before=f"{settings.SITE.base_url}/pay/")


def _masked(column: str) -> str:
    """As ``core.mx.clabe.mask``."""
    shown = f"CASE WHEN length({column}) = 18 THEN 6 ELSE 0 END"
    last = f"CASE WHEN length({column}) >= 8 THEN 4 ELSE 0 END"
    stars = f"repeat('*', length({column}) - {shown} - {last})"
    return js.text(f"concat(left({column}, {shown}), {stars}, right({column}, {last}))")
