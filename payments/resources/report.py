"""JSON representation of reports, and the rows of their files, which are in Spanish."""

from __future__ import annotations

from dataclasses import astuple
from datetime import date, datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.core.signing import TimestampSigner

from core import clock
from core.clock import to_rfc3339
from core.mx import clabe
from core.spreadsheet import Cell, Column, Kind
from ledger.resources.balance_transaction import Line
from ledger.resources.statement import KINDS
from payments.models import Payout, Report
from payments.resources.payout import FREE, RETURN_CODES

SIGNER = TimestampSigner(salt="payments.report")
"""Signs a report's id in the URL of its file. The signature is a query parameter, because those are not logged."""


def report(record: Report, *, with_link: bool = True) -> dict[str, Any]:
    """The report in API responses and events.

    Events and stored responses have no link (``with_link=False``), because it opens the file without an API key.
    """
    return {
        "id": record.public_id,
        "object": "report",
        "livemode": record.livemode,
        "created_at": to_rfc3339(record.created_at),
        "type": record.type,
        "format": record.format,
        "start_date": record.start_date.isoformat(),
        "end_date": record.end_date.isoformat(),
        "status": record.status,
        "rows_done": record.rows_done,
        "rows_total": record.rows_total,
        "completed_at": to_rfc3339(record.completed_at) if record.completed_at else None,
        "failure": {"code": record.failure_code, "message": record.failure_message} if record.failure_code else None,
        "file": _file(record, with_link) if record.status == Report.Status.COMPLETED else None,
        "metadata": record.metadata,
    }


def file_name(record: Report) -> str:
    """File name of the download."""
    mode = "live" if record.livemode else "test"
    return f"{record.type}_{record.start_date}_{record.end_date}_{mode}.{record.format}"


def _file(record: Report, with_link: bool) -> dict[str, Any]:
    kept = record.removed_at is None and record.expires_at is not None and record.expires_at > clock.now()
    url = expires = None
    if with_link and kept:
        token = SIGNER.sign(record.public_id).partition(":")[2]
        url = f"{settings.SITE.base_url}/reports/{record.public_id}?token={token}"
        expires = to_rfc3339(clock.now() + settings.REPORT_LINK_LIFETIME)
    return {
        "name": file_name(record),
        "size": record.size,
        "sha256": record.sha256,
        "expires_at": to_rfc3339(record.expires_at) if record.expires_at else None,
        "download_url": url,
        "download_url_expires_at": expires,
    }


class PaymentRow(NamedTuple):
    """The columns of a payment that a report needs."""

    public_id: str
    created_at: datetime
    id: int
    external_id: str | None
    status: str
    method: str
    amount: int
    currency: str
    amount_received: int
    amount_refunded: int
    fee: int
    fee_tax: int
    description: str
    customer_name: str
    customer_email: str
    customer_phone: str
    clabe: str | None
    voucher_reference: str
    order_id: str | None
    tracking_key: str
    payer_name: str
    payer_institution: str
    operating_date: date | None
    completed_at: datetime | None
    expires_at: datetime


PAYMENT_COLUMNS = [
    Column("ID"),
    Column("Creado", Kind.MOMENT),
    Column("ID del comercio"),
    Column("Estado"),
    Column("Método"),
    Column("Importe", Kind.MONEY),
    Column("Moneda"),
    Column("Recibido", Kind.MONEY),
    Column("Reembolsado", Kind.MONEY),
    Column("Comisión", Kind.MONEY),
    Column("IVA", Kind.MONEY),
    Column("Neto", Kind.MONEY),
    Column("Descripción"),
    Column("Cliente"),
    Column("Correo"),
    Column("Teléfono"),
    Column("CLABE"),
    Column("Referencia OXXO"),
    Column("Orden Conekta"),
    Column("Clave de rastreo"),
    Column("Ordenante"),
    Column("Banco ordenante"),
    Column("Fecha de operación", Kind.DATE),
    Column("Completado", Kind.MOMENT),
    Column("Vence", Kind.MOMENT),
]
STATUSES = {
    "pending": "Pendiente",
    "processing": "En proceso",
    "completed": "Completado",
    "failed": "Fallido",
    "expired": "Vencido",
    "cancelled": "Cancelado",
    "reversed": "Revertido",
}
METHODS = {"spei": "SPEI", "oxxo": "OXXO"}


class PayoutRow(NamedTuple):
    """The columns of a payout that a report needs."""

    public_id: str
    created_at: datetime
    id: int
    external_id: str | None
    kind: str
    status: str
    amount: int
    currency: str
    fee: int
    fee_tax: int
    destination_name: str
    destination_clabe: str
    destination_bank: str
    concept: str
    reference_number: int
    tracking_key: str
    operating_date: date | None
    scheduled_for: datetime | None
    completed_at: datetime | None
    returned_at: datetime | None
    return_cause: int | None
    failure_code: str
    failure_message: str


PAYOUT_COLUMNS = [
    Column("ID"),
    Column("Creado", Kind.MOMENT),
    Column("ID del comercio"),
    Column("Clase"),
    Column("Estado"),
    Column("Importe", Kind.MONEY),
    Column("Moneda"),
    Column("Comisión", Kind.MONEY),
    Column("IVA", Kind.MONEY),
    Column("Total", Kind.MONEY),
    Column("Beneficiario"),
    Column("CLABE"),
    Column("Banco"),
    Column("Concepto"),
    Column("Referencia numérica"),
    Column("Clave de rastreo"),
    Column("Fecha de operación", Kind.DATE),
    Column("Programado", Kind.MOMENT),
    Column("Liquidado", Kind.MOMENT),
    Column("Devuelto", Kind.MOMENT),
    Column("Causa de devolución"),
    Column("Motivo de falla"),
    Column("Detalle"),
]
PAYOUT_STATUSES = {
    "pending_approval": "Por autorizar",
    "pending": "Pendiente",
    "processing": "En proceso",
    "completed": "Liquidado",
    "failed": "Fallido",
    "returned": "Devuelto",
    "rejected": "Rechazado",
    "cancelled": "Cancelado",
}
PAYOUT_KINDS = {
    "merchant": "Dispersión",
    "refund": "Reembolso",
    "payment_return": "Devolución de un pago",
    "settlement": "Liquidación al comercio",
}

BALANCE_COLUMNS = [
    Column("ID"),
    Column("Registrado", Kind.MOMENT),
    Column("Movido", Kind.MOMENT),
    Column("Fecha de operación", Kind.DATE),
    Column("Tipo"),
    Column("Origen"),
    Column("Concepto"),
    Column("Importe bruto", Kind.MONEY),
    Column("Comisión", Kind.MONEY),
    Column("IVA", Kind.MONEY),
    Column("Neto", Kind.MONEY),
    Column("Cambio disponible", Kind.MONEY),
    Column("Cambio pendiente", Kind.MONEY),
    Column("Cambio reservado", Kind.MONEY),
    Column("Cambio bloqueado", Kind.MONEY),
    Column("Cambio adeudo", Kind.MONEY),
    Column("Disponible", Kind.MONEY),
    Column("Pendiente", Kind.MONEY),
    Column("Reservado", Kind.MONEY),
    Column("Bloqueado", Kind.MONEY),
    Column("Adeudo", Kind.MONEY),
]


def payment_cells(row: PaymentRow) -> list[Cell]:
    """The cells of a payment."""
    received = row.amount_received
    return [
        row.public_id,
        row.created_at,
        row.external_id,
        STATUSES.get(row.status, row.status),
        METHODS.get(row.method, row.method),
        row.amount,
        row.currency,
        received,
        row.amount_refunded,
        row.fee,
        row.fee_tax,
        received - row.fee - row.fee_tax,
        row.description,
        row.customer_name,
        row.customer_email,
        row.customer_phone,
        row.clabe,
        row.voucher_reference,
        row.order_id,
        row.tracking_key,
        row.payer_name,
        clabe.institution_name(row.payer_institution) or row.payer_institution,
        row.operating_date,
        row.completed_at,
        row.expires_at,
    ]


def payout_cells(row: PayoutRow) -> list[Cell]:
    """The cells of a payout. One that did not leave costs nothing."""
    fee, fee_tax = (0, 0) if row.status in FREE else (row.fee, row.fee_tax)
    is_returned = row.status == Payout.Status.RETURNED
    return [
        row.public_id,
        row.created_at,
        row.external_id,
        PAYOUT_KINDS.get(row.kind, row.kind),
        PAYOUT_STATUSES.get(row.status, row.status),
        row.amount,
        row.currency,
        fee,
        fee_tax,
        row.amount + fee + fee_tax,
        row.destination_name,
        row.destination_clabe,
        clabe.institution_name(row.destination_bank) or row.destination_bank,
        row.concept,
        str(row.reference_number),
        row.tracking_key,
        row.operating_date,
        row.scheduled_for,
        row.completed_at,
        row.returned_at if is_returned else None,
        RETURN_CODES.get(row.return_cause or 0, "other") if is_returned else None,
        row.failure_code if row.status in FREE else None,
        row.failure_message if row.status in FREE else None,
    ]


def balance_cells(line: Line) -> list[Cell]:
    """The cells of a balance transaction, with the balance after it."""
    return [
        line.transaction,
        line.recorded_at,
        line.effective_at,
        line.operating_date,
        KINDS.get(line.kind, line.kind),
        line.source,
        line.description,
        *(line.gross, line.fee, line.fee_tax, line.net),
        *astuple(line.change),
        *astuple(line.balance),
    ]
