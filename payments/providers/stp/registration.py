"""Registration of our CLABEs at STP in a merchant's name: requests and answers.

Wire format: STP speiws ``cuentaModule/fisica`` (persons) and ``cuentaModule/moral`` (companies), PUT to register and
DELETE with a body to remove; signed over ``||empresa|cuenta|rfcCurp||``. Answers have no envelope:
``{"id": 0, "descripcion": "Cuenta en revisión."}``.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final

from core.masking import masked
from core.mx import clabe as clabes
from payments.providers.calls import Outcome
from payments.providers.errors import UnreadableNotice, printable
from payments.providers.payout import ClabeHolder, RegistrationResult
from payments.providers.reading import read_object
from payments.providers.stp.catalogue import ACCOUNT_ERRORS, NOT_ASSOCIATED, look_up
from payments.providers.stp.payout import MAX_DETAIL_LENGTH
from payments.providers.stp.status import REQUEST_TIMEOUT, TURNED_AWAY

MAX_NAME_LENGTH: Final = 50

_TAX_ID = re.compile(r"[A-Z&Ñ]{3,4}[0-9]{6}[A-Z0-9]{3}|[A-Z]{4}[0-9]{6}[A-Z]{6}[A-Z0-9][0-9]")


def path(holder: ClabeHolder) -> str:
    """The path for registering and removing a CLABE of this holder."""
    return f"/speiws/rest/cuentaModule/{'moral' if holder.is_company else 'fisica'}"


def write_registration(company: str, clabe: str, holder: ClabeHolder) -> dict[str, Any]:
    """The fields of a registration without the signature. Raises ``ValueError`` for values that STP does not accept."""
    born = f"{holder.born_or_founded_on:%Y%m%d}"
    body = write_removal(company, clabe, holder) | {"nombre": _name(holder.name)}
    if holder.is_company:
        return body | {"pais": holder.country, "fechaConstitucion": born}
    body["apellidoPaterno"] = _name(holder.last_name)
    if holder.second_last_name:
        body["apellidoMaterno"] = _name(holder.second_last_name)
    return body | {"paisNacimiento": holder.country, "fechaNacimiento": born}


def write_removal(company: str, clabe: str, holder: ClabeHolder) -> dict[str, Any]:
    """The fields that name a registered CLABE. Raises ``ValueError``; the check digit of a CURP is not verified."""
    if not clabes.is_valid(clabe):
        raise ValueError("only a CLABE is registered at STP")
    if not _TAX_ID.fullmatch(holder.tax_id):
        raise ValueError("a holder is known to STP by an RFC or a CURP")
    return {"empresa": company, "cuenta": clabe, "rfcCurp": holder.tax_id}


def read_registered(status: int, raw: bytes, *, removing: bool) -> RegistrationResult:
    """The result of STP's answer to a registration or removal, without ``raw``."""
    try:
        answer = read_object(raw)
    except UnreadableNotice:
        answer = {}
    number, text = answer.get("id"), answer.get("descripcion")
    if type(number) is not int:
        outcome = Outcome.NOT_SENT if status in TURNED_AWAY else Outcome.UNKNOWN
        return RegistrationResult(outcome, detail=f"STP answered HTTP {status}.")
    code, detail = str(number)[:20], masked(printable(text))[:MAX_DETAIL_LENGTH]
    entry = look_up(ACCOUNT_ERRORS, number, detail)
    if entry is None or status >= 500 or status == REQUEST_TIMEOUT or 300 <= status < 400:
        return RegistrationResult(Outcome.UNKNOWN, code=code, detail=detail)
    if removing and number == NOT_ASSOCIATED:
        return RegistrationResult(Outcome.ACCEPTED, code=code, detail=detail)
    is_new = entry.outcome is Outcome.ACCEPTED and number == 0
    return RegistrationResult(entry.outcome, in_review=is_new and not removing, code=code, detail=detail)


def _name(text: str) -> str:
    """Upper-case ASCII without punctuation, at most 50 characters: ``"Peña, S.A."`` -> ``"PENA S A"``."""
    decomposed = unicodedata.normalize("NFKD", text.upper())
    letters = "".join(c for c in decomposed if not unicodedata.combining(c))
    name = " ".join(re.sub(r"[-,.]", " ", letters).split())[:MAX_NAME_LENGTH].rstrip()
    if not name or not name.isascii() or not name.isprintable() or "|" in name:
        raise ValueError("a holder's name is letters, digits and spaces")
    return name
