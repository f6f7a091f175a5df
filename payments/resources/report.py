"""A report's JSON form, and the rows of its file. Files are in Spanish: people open them."""

from __future__ import annotations

from dataclasses import astuple
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.core.signing import TimestampSigner

from core import clock
from core.clock import MEXICO_CITY, to_rfc3339
from core.money import centavos_to_pesos
from core.mx import clabe
from core.spreadsheet import safe_cell
from ledger.resources.balance_transaction import Line
from ledger.resources.statement import KINDS
from payments.models import Report

SIGNER = TimestampSigner(salt="payments.report")
"""Signs a report's id in the address of its file. The signature is a query parameter: those are in no log of ours."""


def report(record: Report, *, with_link: bool = True) -> dict[str, Any]:
    """The report as the API answers it.

    Events and stored answers have no link (``with_link=False``): a link opens the file without a key, for a short time.
    """
    return {
        "id": record.public_id,
        "object": "report",
        "livemode": record.livemode,
        "created_at": to_rfc3339(record.created_at),
        "type": record.type,
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
    """What the file is called when it is downloaded."""
    return f"{record.type}_{record.start_date}_{record.end_date}_{'live' if record.livemode else 'test'}.csv"


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
    """The columns of a payment that its line in a file is made of."""

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
    operating_date: Any
    completed_at: datetime | None
    expires_at: datetime


PAYMENT_HEADINGS = [
    "ID",
    "Creado",
    "ID del comercio",
    "Estado",
    "Método",
    "Importe",
    "Moneda",
    "Recibido",
    "Reembolsado",
    "Comisión",
    "IVA",
    "Neto",
    "Descripción",
    "Cliente",
    "Correo",
    "Teléfono",
    "CLABE",
    "Referencia OXXO",
    "Orden Conekta",
    "Clave de rastreo",
    "Ordenante",
    "Banco ordenante",
    "Fecha de operación",
    "Completado",
    "Vence",
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

BALANCE_HEADINGS = [
    "ID",
    "Registrado",
    "Movido",
    "Fecha de operación",
    "Tipo",
    "Origen",
    "Concepto",
    "Importe bruto",
    "Comisión",
    "IVA",
    "Neto",
    "Cambio disponible",
    "Cambio pendiente",
    "Cambio reservado",
    "Cambio bloqueado",
    "Cambio adeudo",
    "Disponible",
    "Pendiente",
    "Reservado",
    "Bloqueado",
    "Adeudo",
]


def payment_cells(row: PaymentRow) -> list[str]:
    """A payment's line: Mexico City time, pesos with two decimals, texts that compute nothing."""
    received = row.amount_received
    return [
        row.public_id,
        _local(row.created_at),
        safe_cell(row.external_id or ""),
        STATUSES.get(row.status, row.status),
        METHODS.get(row.method, row.method),
        _pesos(row.amount),
        row.currency,
        _pesos(received),
        _pesos(row.amount_refunded),
        _pesos(row.fee),
        _pesos(row.fee_tax),
        _pesos(received - row.fee - row.fee_tax),
        safe_cell(row.description),
        safe_cell(row.customer_name),
        safe_cell(row.customer_email),
        safe_cell(row.customer_phone),
        _digits(row.clabe),
        _digits(row.voucher_reference),
        safe_cell(row.order_id or ""),
        _digits(row.tracking_key),
        safe_cell(row.payer_name),
        clabe.institution_name(row.payer_institution) or row.payer_institution,
        row.operating_date.isoformat() if row.operating_date else "",
        _local(row.completed_at),
        _local(row.expires_at),
    ]


def balance_cells(line: Line) -> list[str]:
    """A balance transaction's line, with the balance after it."""
    return [
        line.transaction,
        _local(line.recorded_at),
        _local(line.effective_at),
        line.operating_date.isoformat(),
        safe_cell(KINDS.get(line.kind, line.kind)),
        safe_cell(line.source),
        safe_cell(line.description),
        *map(_pesos, (line.gross, line.fee, line.fee_tax, line.net)),
        *map(_pesos, astuple(line.change)),
        *map(_pesos, astuple(line.balance)),
    ]


def _digits(text: str | None) -> str:
    """A number that is a name: Excel would show 18 digits as 6.46E+17 and lose the last three."""
    return f"'{text}" if text and text.isdigit() else safe_cell(text or "")


def _local(moment: datetime | None) -> str:
    return moment.astimezone(MEXICO_CITY).strftime("%Y-%m-%d %H:%M:%S") if moment else ""


def _pesos(centavos: int) -> str:
    return str(centavos_to_pesos(centavos))
