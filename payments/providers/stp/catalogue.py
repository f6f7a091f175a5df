"""Catalogue of STP's error codes: outcome, reason, and a description in Spanish and English.

The meaning of a code may depend on its text (0), and never on its length or sign: -200 is a refusal, 9349827 an order.
An answer that is not in these tables is unknown and needs a person.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from payments.providers.calls import Outcome
from payments.providers.payout import SendReason

_REFUSED, _NOT_SENT, _UNKNOWN = Outcome.REFUSED, Outcome.NOT_SENT, Outcome.UNKNOWN
_ACCEPTED = Outcome.ACCEPTED
_INVALID, _REJECTED = SendReason.DESTINATION_INVALID, SendReason.PROVIDER_REJECTED


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """A code of STP. ``pattern`` is a regular expression for its text, folded to lower-case ASCII; "" for any text."""

    code: int
    pattern: str
    outcome: Outcome
    reason: SendReason
    es: str
    en: str


ORDER_ERRORS: Final = tuple(
    ErrorCode(*row)
    for row in (
        (
            0,
            "no se recibio respuesta",
            _UNKNOWN,
            SendReason.ANSWER_LOST,
            "STP no recibió respuesta",
            "No answer at STP",
        ),
        (0, r"campo .* obligatorio", _REFUSED, _REJECTED, "Falta un campo obligatorio", "A required field is missing"),
        (0, "firma", _NOT_SENT, SendReason.CONFIGURATION, "Firma inválida", "Invalid signature"),
        (1, ".", _REFUSED, _REJECTED, "Falta un dato obligatorio", "Required data is missing"),
        (2, ".", _REFUSED, _REJECTED, "Dato no catalogado", "Value not in the catalogue"),
        (3, ".", _REFUSED, _REJECTED, "La cuenta no pertenece a la empresa", "The account is not the company's"),
        (4, ".", _REFUSED, _INVALID, "Cuenta inválida", "Invalid account"),
        (5, ".", _UNKNOWN, SendReason.ALREADY_USED, "Dato duplicado", "Duplicate data"),
        (6, ".", _REFUSED, _REJECTED, "Cuenta no asociada", "Account not associated"),
        (7, ".", _REFUSED, _REJECTED, "Cuenta no habilitada", "Account not enabled"),
        (8, ".", _REFUSED, _REJECTED, "RFC o CURP inválido", "Invalid RFC or CURP"),
        (
            -1,
            "",
            _UNKNOWN,
            SendReason.ALREADY_USED,
            "La clave de rastreo ya fue utilizada",
            "Tracking key was used",
        ),
        (-2, "", _UNKNOWN, SendReason.ALREADY_USED, "Orden duplicada", "Duplicate order"),
        (
            -3,
            "",
            _REFUSED,
            _REJECTED,
            "La clave no existe en el catálogo de usuario",
            "Key not catalogued",
        ),
        (-5, "", _REFUSED, _REJECTED, "Falta la institución contraparte", "Counterparty institution missing"),
        (-6, "", _REFUSED, _REJECTED, "Empresa o institución operante inválida", "Invalid company or institution"),
        (-7, "", _REFUSED, _INVALID, "La cuenta no existe", "The account does not exist"),
        (-9, "", _REFUSED, SendReason.BANK_UNAVAILABLE, "La institución no es válida", "Invalid institution"),
        (-10, "", _REFUSED, _REJECTED, "Medio de entrega inválido", "Invalid means of delivery"),
        (-11, "", _REFUSED, _INVALID, "El tipo de cuenta es inválido", "Invalid type of account"),
        (-12, "", _REFUSED, _REJECTED, "Tipo de operación inválido", "Invalid type of operation"),
        (-13, "", _REFUSED, _REJECTED, "Tipo de pago inválido", "Invalid type of payment"),
        (-14, "", _REFUSED, _REJECTED, "Usuario inválido", "Invalid user"),
        (-16, "", _NOT_SENT, SendReason.WRONG_OPERATING_DATE, "Fecha de operación inválida", "Invalid operating date"),
        (-17, "", _NOT_SENT, SendReason.CONFIGURATION, "No se pudo determinar el usuario", "User not determined"),
        (
            -18,
            "",
            _NOT_SENT,
            SendReason.CONFIGURATION,
            "La institución no es del usuario",
            "Not the user's institution",
        ),
        (-20, "", _REFUSED, SendReason.AMOUNT_NOT_ALLOWED, "El monto no es válido", "Invalid amount"),
        (-21, "", _REFUSED, _INVALID, "Dígito verificador inválido", "Invalid check digit"),
        (-22, "", _REFUSED, _INVALID, "La CLABE no es de esa institución", "The CLABE is not of that institution"),
        (-23, "", _REFUSED, _INVALID, "Longitud de la CLABE incorrecta", "Wrong length of the CLABE"),
        (-24, "", _REFUSED, _INVALID, "La cuenta es la misma que ordena", "The account is the ordering account"),
        (-26, "", _REFUSED, _REJECTED, "Clave de rastreo inválida", "Invalid tracking key"),
        (-30, "", _NOT_SENT, SendReason.CLOSED, "STP solo admite consultas", "STP is in read-only mode"),
        (
            -34,
            "",
            _REFUSED,
            _REJECTED,
            "Clave de rastreo con caracteres inválidos",
            "Tracking key with invalid characters",
        ),
        (-200, "", _REFUSED, SendReason.COMPLIANCE_REJECTED, "Rechazada por PLD", "Rejected for compliance (PLD)"),
    )
)
"""Answers to the registration of an order that do not accept it. Codes from 1 on need a text.

Code 5 may mean an existing tracking key, so it is unknown and leads to an inquiry.
"""

ACCOUNT_ERRORS: Final = tuple(
    ErrorCode(*row)
    for row in (
        (0, r"^$|en revision", _ACCEPTED, SendReason.NONE, "Cuenta en revisión", "Account in review"),
        (0, "firma", _NOT_SENT, SendReason.CONFIGURATION, "Firma inválida", "Invalid signature"),
        (0, r"campo .* obligatorio", _REFUSED, _REJECTED, "Falta un campo obligatorio", "A required field is missing"),
        (1, ".", _REFUSED, _REJECTED, "Dato inválido", "Invalid data"),
        (2, ".", _REFUSED, _REJECTED, "Dato no catalogado", "Value not in the catalogue"),
        (3, "duplicad", _ACCEPTED, SendReason.NONE, "La cuenta ya está registrada", "The account stands already"),
        (3, ".", _REFUSED, _REJECTED, "La cuenta no pertenece a la empresa", "The account is not the company's"),
        (4, ".", _REFUSED, _INVALID, "Cuenta inválida", "Invalid account"),
        (5, "duplicad", _ACCEPTED, SendReason.NONE, "La cuenta ya está registrada", "The account stands already"),
        (5, ".", _REFUSED, _REJECTED, "Falta un campo obligatorio", "A required field is missing"),
        (6, ".", _REFUSED, _REJECTED, "Cuenta no asociada", "Account not associated"),
        (7, ".", _REFUSED, _REJECTED, "Cuenta no habilitada", "Account not enabled"),
        (8, ".", _REFUSED, _REJECTED, "RFC o CURP inválido", "Invalid RFC or CURP"),
    )
)
"""Answers to the registration of a CLABE: ``{"id", "descripcion"}``, also those that accept it."""

NOT_ASSOCIATED: Final = 6
"""The code of a CLABE that is not ours; on removal: removed already."""


def look_up(table: tuple[ErrorCode, ...], code: int, text: str) -> ErrorCode | None:
    """The entry of ``code`` whose pattern matches ``text``; None if there is none."""
    plain = _folded(text)
    return next((entry for entry in table if entry.code == code and re.search(entry.pattern, plain)), None)


def explain(code: str, detail: str, language: str) -> str:
    """An order's error in ``language`` ("es" or "en"); STP's own text if the catalogue has no entry."""
    entry = look_up(ORDER_ERRORS, int(code), detail) if code else None
    return detail if entry is None else entry.es if language.startswith("es") else entry.en


def _folded(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", " ".join(text.casefold().split()))
    return "".join(character for character in decomposed if not unicodedata.combining(character))
