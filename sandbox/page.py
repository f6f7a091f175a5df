"""The HTML page for people, in Spanish: recent transfers and orders with their deliveries, a till and a bank."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from html import escape
from typing import Any

from .errors import Refused
from .world import MEXICO_CITY

STATUS = {
    "sent": "enviada",
    "confirmed": "confirmada",
    "returned": "devuelta",
    "unanswered": "sin respuesta",
    "pending_payment": "pendiente",
    "paid": "pagada",
    "expired": "vencida",
    "canceled": "cancelada",
}
SENT = {
    "C": "capturada",
    "L": "liberada",
    "A": "autorizada",
    "E": "enviada",
    "LQ": "liquidada",
    "D": "devuelta",
    "CN": "cancelada",
}
STYLE = (
    "body{font:15px/1.4 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #ccc;padding:.35rem;text-align:left;"
    "vertical-align:top}td.n{text-align:right;white-space:nowrap}label{display:inline-block;margin:0 .8rem .6rem 0}"
    "small{display:block;color:#555;overflow-wrap:anywhere}.error{color:#a00;font-weight:bold}"
)


def centavos(text: str) -> int:
    """``"1,250.50"`` -> ``125050``. Raises ``Refused`` for fractions of a centavo."""
    try:
        amount = Decimal(text.replace(",", "").replace("$", "").strip()).scaleb(2)
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or not 0 < amount < 10**15 or amount != int(amount):
        raise Refused(422, "invalid_field", "Escribe el importe en pesos, por ejemplo 1,250.50", param="amount")
    return int(amount)


def pesos(amount: int) -> str:
    """``125050`` -> ``$1,250.50``."""
    return f"${Decimal(amount).scaleb(-2):,.2f}"


def render(
    transfers: Iterable[dict[str, Any]],
    sent: Iterable[dict[str, Any]],
    orders: Iterable[dict[str, Any]],
    error: str = "",
) -> str:
    """The page, with ``error`` at the top: transfers that came, orders that were sent, cash orders."""
    message = f'<p class="error" role="alert">{escape(error)}</p>' if error else ""
    return f"""<!doctype html><html lang="es"><head><meta charset="utf-8"><title>Simuladores: STP y Conekta</title>
<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>
<h1>Simuladores</h1><p>Dinero de juguete: nada de lo que ocurre aquí sale de esta máquina.</p>{message}
<h2>Enviar un SPEI</h2><form method="post" action="/spei">
<label>CLABE <input name="clabe" required inputmode="numeric" size="20"></label>
<label>Importe en pesos <input name="amount" required inputmode="decimal" size="12"></label>
<label>Ordenante <input name="payer_name" maxlength="40"></label>
<label>Concepto <input name="concept" maxlength="40"></label><button>Enviar</button></form>
<h2>Transferencias SPEI</h2><table><thead><tr><th>Clave de rastreo<th>CLABE<th>Importe<th>Ordenante<th>Estado
<th>Avisos</thead><tbody>{"".join(map(_transfer, transfers)) or _empty(6)}</tbody></table>
<h2>Órdenes SPEI enviadas</h2><table><thead><tr><th>Clave de rastreo<th>CLABE<th>Importe<th>Beneficiario<th>Estado
<th>Avisos</thead><tbody>{"".join(map(_sent, sent)) or _empty(6)}</tbody></table>
<h2>Órdenes OXXO</h2><table><thead><tr><th>Referencia<th>Cliente<th>Importe<th>Estado<th>Avisos<th>Caja</thead>
<tbody>{"".join(map(_order, orders)) or _empty(6)}</tbody></table></body></html>"""


def _empty(columns: int) -> str:
    return f'<tr><td colspan="{columns}">Todavía no hay ninguna.'


def _transfer(transfer: dict[str, Any]) -> str:
    cause = f" (causa {transfer['cause']})" if transfer["cause"] is not None else ""
    return (
        f"<tr><td>{escape(transfer['tracking_key'])}<td>{escape(transfer['clabe'])}"
        f'<td class="n">{pesos(transfer["amount"])}<td>{escape(transfer["notice"]["nombreOrdenante"])}'
        f"<td>{STATUS[transfer['status']]}{cause}<td>{_deliveries(transfer['deliveries'])}"
    )


def _sent(order: dict[str, Any]) -> str:
    cause = f" (causa {order['cause']})" if order["cause"] is not None else ""
    notices = "".join(f"<b>{escape(n['body']['estado'])}</b>{_deliveries(n['deliveries'])}" for n in order["notices"])
    return (
        f"<tr><td>{escape(order['tracking_key'])}<td>{escape(str(order['order']['cuentaBeneficiario']))}"
        f'<td class="n">{pesos(order["amount"])}<td>{escape(str(order["order"]["nombreBeneficiario"]))}'
        f"<td>{SENT[order['status']]}{cause}<td>{notices}"
    )


def _order(record: dict[str, Any]) -> str:
    order = record["order"]
    method = order["charges"]["data"][0]["payment_method"]
    reference = escape(method["reference"])
    button = ""
    if order["payment_status"] == "pending_payment":
        button = (
            f'<form method="post" action="/pagar"><input type="hidden" name="reference" value="{reference}">'
            f"<button>Pagar</button></form>"
        )
    notices = "".join(f"<b>{escape(e['type'])}</b>{_deliveries(e['deliveries'])}" for e in record["events"])
    return (
        f'<tr><td><a href="/conekta/barcodes/{reference}.svg">{reference}</a><small>vence {_moment(method)}</small>'
        f"<td>{escape(order['customer_info']['name'])}"
        f'<td class="n">{pesos(order["amount"])}<td>{STATUS[order["payment_status"]]}<td>{notices}<td>{button}'
    )


def _moment(method: dict[str, Any]) -> str:
    return datetime.fromtimestamp(method["expires_at"], MEXICO_CITY).strftime("%d/%m/%Y %H:%M")


def _deliveries(deliveries: list[dict[str, Any]]) -> str:
    return "".join(f"<small>{d['at']}: {d['status'] or '—'} {escape(d['body'][:120])}</small>" for d in deliveries)
