"""A merchant's statement, rendered as a table or as text, both in Spanish."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import date, datetime

from core.clock import MEXICO_CITY
from core.money import format_mxn
from core.spreadsheet import Cell, Column, Kind


@dataclass(frozen=True, slots=True)
class Figures:
    """A merchant's money by purpose, or a change of it, in centavos, each positive on its account's normal side."""

    available: int
    pending: int
    reserved: int
    blocked: int
    debt: int

    @property
    def total(self) -> int:
        """The merchant's total: everything less its debt."""
        return self.available + self.pending + self.reserved + self.blocked - self.debt

    def plus(self, change: Figures) -> Figures:
        """These figures after ``change``."""
        return Figures(*(getattr(self, f.name) + getattr(change, f.name) for f in fields(self)))


@dataclass(frozen=True, slots=True)
class Movement:
    """The effect of one ledger transaction on the merchant, in centavos.

    ``gross`` is the amount before our fee: ``net + fee + iva``. Incoming money is positive; outgoing money and refunded
    fees are negative. ``net`` is zero if money only moved between the merchant's accounts (a hold); ``change`` shows
    which. ``balance`` is the total afterwards.
    """

    transaction: str
    effective_at: datetime
    operating_date: date
    kind: str
    source: str
    description: str
    gross: int
    fee: int
    iva: int
    net: int
    balance: int
    change: Figures


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over a statement's movements, in centavos: ``net = gross_in - gross_out - fees - iva``."""

    gross_in: int
    gross_out: int
    fees: int
    iva: int
    net: int


@dataclass(frozen=True, slots=True)
class Statement:
    """A merchant's money over a period of Mexico City days, both included, by effective time.

    ``movements`` can be iterated once, inside the transaction in which the statement was created.
    """

    merchant: str
    merchant_name: str
    livemode: bool
    currency: str
    first_day: date
    last_day: date
    opening: Figures
    closing: Figures
    totals: Totals
    movements: Iterator[Movement]


KINDS = {
    "spei_deposit": "Depósito SPEI abonado",
    "oxxo_paid": "Pago OXXO recibido",
    "oxxo_released": "Dinero de OXXO liberado",
    "merchant_top_up": "Fondeo del comercio",
    "suspense_assigned": "Depósito asignado",
    "payout_created": "Dispersión: retenida",
    "payout_settled": "Dispersión liquidada",
    "payout_settled_late": "Dispersión liquidada tarde",
    "payout_failed": "Dispersión fallida",
    "payout_returned": "Dispersión devuelta",
    "batch_accepted": "Lote de dispersión: retenido",
    "batch_released": "Lote de dispersión: liberado",
    "refund_created": "Reembolso: retenido",
    "refund_settled": "Reembolso liquidado",
    "refund_settled_late": "Reembolso liquidado tarde",
    "refund_failed": "Reembolso fallido",
    "refund_returned": "Reembolso devuelto",
    "payment_reversed": "Pago revertido",
    "payment_return_settled": "Pago devuelto",
    "payment_return_settled_late": "Pago devuelto tarde",
    "payment_return_failed": "Devolución fallida",
    "payment_return_returned": "Devolución regresada",
    "debt_recovered": "Adeudo recuperado",
    "debt_written_off": "Adeudo cancelado",
    "funds_blocked": "Dinero congelado",
    "funds_unblocked": "Dinero liberado",
    "reversal": "Reversión",
    "adjustment": "Ajuste",
}
"""Names, as merchants read them, of every kind of transaction that touches a merchant's accounts."""

COLUMNS = [
    Column("Fecha", Kind.DATE),
    Column("Hora", Kind.TIME),
    Column("Fecha de operación", Kind.DATE),
    Column("Tipo"),
    Column("Referencia"),
    Column("Concepto"),
    Column("Importe bruto", Kind.MONEY),
    Column("Comisión", Kind.MONEY),
    Column("IVA", Kind.MONEY),
    Column("Neto", Kind.MONEY),
    Column("Saldo", Kind.MONEY),
    Column("Disponible", Kind.MONEY),
    Column("Pendiente", Kind.MONEY),
    Column("Reservado", Kind.MONEY),
    Column("Bloqueado", Kind.MONEY),
    Column("Adeudo", Kind.MONEY),
]
_MONTHS = ["ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sep", "oct", "nov", "dic"]


def table_rows(statement: Statement) -> Iterator[list[Cell]]:
    """The statement as one table: opening balance, movements, closing balance with the totals.

    The last five columns hold the opening balance of each purpose, its changes, and its closing balance: they add up.
    """
    mode = "modo real" if statement.livemode else "modo de prueba"
    about = f"{statement.merchant_name}, {statement.first_day} a {statement.last_day}, {mode}, {statement.currency}"
    yield _boundary(statement.first_day, "Saldo inicial", about, [None] * 4, statement.opening)
    for movement in statement.movements:
        local = movement.effective_at.astimezone(MEXICO_CITY)
        yield [
            local.date(),
            local.time().replace(microsecond=0),
            movement.operating_date,
            KINDS.get(movement.kind, movement.kind),
            movement.source,
            movement.description,
            *(movement.gross, movement.fee, movement.iva, movement.net, movement.balance),
            *astuple(movement.change),
        ]
    totals = statement.totals
    sums = [totals.gross_in - totals.gross_out, totals.fees, totals.iva, totals.net]
    yield _boundary(statement.last_day, "Saldo final", about, sums, statement.closing)


def text_lines(statement: Statement) -> Iterator[str]:
    """The statement as text, one line per movement."""
    yield f"ESTADO DE CUENTA{'' if statement.livemode else ' (MODO DE PRUEBA)'}"
    yield f"Comercio: {_one_line(statement.merchant_name)} ({statement.merchant})"
    yield f"Periodo:  {_day(statement.first_day)} a {_day(statement.last_day)}, hora de la Ciudad de México"
    yield ""
    yield from _balance_lines("Saldo inicial", statement.opening)
    yield ""
    yield (
        f"{'Fecha':<21}{'Operación':<12}{'Tipo':<28}{'Bruto':>17}{'Comisión':>14}{'IVA':>13}{'Neto':>17}"
        f"{'Saldo':>18}  Referencia"
    )
    count = 0
    for movement in statement.movements:
        count += 1
        local = movement.effective_at.astimezone(MEXICO_CITY)
        yield (
            f"{_day(local.date())} {local:%H:%M:%S} {movement.operating_date.isoformat():<12}"
            f"{_one_line(KINDS.get(movement.kind, movement.kind)):<28.27}{format_mxn(movement.gross):>17}"
            f"{format_mxn(movement.fee):>14}{format_mxn(movement.iva):>13}{format_mxn(movement.net):>17}"
            f"{format_mxn(movement.balance):>18}  {_one_line(movement.source)}"
        )
    yield f"{count} movimientos"
    yield ""
    totals = statement.totals
    for name, amount in (
        ("Entradas brutas", totals.gross_in),
        ("Salidas brutas", -totals.gross_out),
        ("Comisiones", -totals.fees),
        ("IVA de comisiones", -totals.iva),
        ("Cambio neto", totals.net),
    ):
        yield f"{name:<20}{format_mxn(amount):>20}"
    yield ""
    yield from _balance_lines("Saldo final", statement.closing)


def _boundary(day: date, title: str, about: str, sums: Sequence[int | None], figures: Figures) -> list[Cell]:
    return [day, None, None, title, None, about, *sums, figures.total, *astuple(figures)]


def _balance_lines(title: str, figures: Figures) -> Iterator[str]:
    yield f"{title:<20}{format_mxn(figures.total):>20}"
    for name, amount in zip([column.heading for column in COLUMNS[11:]], astuple(figures), strict=True):
        yield f"  {name:<18}{format_mxn(-amount if name == 'Adeudo' else amount):>20}"


def _day(day: date) -> str:
    return f"{day.day:02d} {_MONTHS[day.month - 1]} {day.year}"


def _one_line(text: str) -> str:
    """Replace control characters, so that a name cannot affect the terminal."""
    return "".join(character if character.isprintable() else " " for character in text)
