"""What STP refuses, as its integrators recorded it: texts of error codes, and the checks of an order and an account.

Pure functions over the request's body; ``sandbox.stp_orders`` keeps the orders.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

SIGNED = """institucionContraparte empresa fechaOperacion folioOrigen claveRastreo institucionOperante monto tipoPago
    tipoCuentaOrdenante nombreOrdenante cuentaOrdenante rfcCurpOrdenante tipoCuentaBeneficiario nombreBeneficiario
    cuentaBeneficiario rfcCurpBeneficiario emailBeneficiario tipoCuentaBeneficiario2 nombreBeneficiario2
    cuentaBeneficiario2 rfcCurpBeneficiario2 conceptoPago conceptoPago2 claveCatUsuario1 claveCatUsuario2 clavePago
    referenciaCobranza referenciaNumerica tipoOperacion topologia usuario medioEntrega prioridad iva""".split()

TEXTS = {
    0: "Error validando la firma",
    1: "Dato obligatorio",
    2: "Dato no catalogado",
    3: "La cuenta no pertenece a la empresa",
    4: "Cuenta invalida",
    5: "Dato duplicado",
    6: "Cuenta no asociada",
    7: "Cuenta no habilitada",
    8: "rfc_curp invalido",
    -1: "La clave de rastreo {key} para la fecha {day} de la institucion 90646 ya fue utilizada",
    -2: "Orden duplicada. Rastreo {{{key}}} Fecha Oper. {{{day}}} Inst. Oper. {{90646}}",
    -3: "La clave no existe en catalogo de usuario",
    -5: "Dato obligatorio institucion contraparte",
    -6: "Empresa o institucion operante invalida",
    -7: "La cuenta {account} no existe ",
    -9: "La Institucion {bank} no es valida",
    -10: "Medio de entrega invalido",
    -11: "El tipo de cuenta {kind} es invalido",
    -12: "Tipo de operacion invalido",
    -13: "Tipo de pago invalido",
    -14: "Usuario invalido",
    -16: "Fecha de operacion invalida",
    -17: "No se pudo determinar el usuario",
    -18: "La institucion operante no esta asociada al usuario",
    -20: "El monto {{{amount}}} no es válido",
    -21: "Digito verificador invalido",
    -22: "La cuenta CLABE {{{account}}} no coincide para la institucion operante {{{bank}}}",
    -23: "Longitud de CLABE incorrecta",
    -24: "Cuenta {{{account}}} - {{MISMA_CUENTA}}",
    -26: "Clave de rastreo invalida",
    -30: "Enlace Financiero en modo consultas",
    -34: "Clave rastreo invalida : {key}",
    -100: "No se encontraron ordenes",
    -200: "Orden sin cuenta ordenante. Se rechaza por PLD",
}
REQUIRED = {
    "claveRastreo": "CLAVE RASTREO",
    "conceptoPago": "CONCEPTO PAGO",
    "cuentaBeneficiario": "CUENTA BENEFICIARIO",
    "nombreBeneficiario": "NOMBRE BENEFICIARIO",
    "rfcCurpBeneficiario": "RFC CURP BENEFICIARIO",
    "tipoCuentaBeneficiario": "TIPO CUENTA BENEFICIARIO",
    "monto": "MONTO",
    "referenciaNumerica": "REFERENCIA NUMERICA",
    "tipoPago": "TIPO PAGO",
}
MAX_TEXT = 40

Refusal = dict[str, Any]


def signed_text(values: list[Any]) -> bytes:
    """``||a|b||``, with an empty place for a value that was not sent and two decimals for a number with decimals."""
    return f"||{'|'.join(map(_plain, values))}||".encode()


def order_text(body: Mapping[str, Any]) -> bytes:
    """The 34 values of an order, as STP puts them together from the request's body."""
    amount = centavos(body.get("monto"))
    fields = {**body, "monto": body.get("monto") if amount is None else Decimal(amount).scaleb(-2)}
    return signed_text([fields.get(name) for name in SIGNED])


def centavos(value: Any) -> int | None:
    """A peso amount, number or text, in centavos; None for anything that is not a whole number of them."""
    try:
        amount = Decimal(str(value) if isinstance(value, int) else value).scaleb(2)
        return int(amount) if amount == int(amount) and not isinstance(value, bool) else None
    except (InvalidOperation, TypeError, ValueError, OverflowError):
        return None


def refusal(code: int, body: Mapping[str, Any]) -> Refusal:
    """STP's answer with this code about this order."""
    words = {
        "key": body.get("claveRastreo"),
        "day": body.get("fechaOperacion"),
        "account": body.get("cuentaBeneficiario"),
        "bank": body.get("institucionContraparte"),
        "kind": body.get("tipoCuentaBeneficiario"),
        "amount": body.get("monto"),
    }
    return {"resultado": {"descripcionError": TEXTS[code].format(**words), "id": code}}


def missing(name: str) -> Refusal:
    """The answer to an order without a required field."""
    return {"resultado": {"descripcionError": f"El campo <{name}> es obligatorio", "id": 0}}


def check_order(body: Mapping[str, Any], *, today: date, closed: frozenset[int]) -> Refusal | None:
    """Why STP refuses this order, if it does. ``closed``: institutions that take no orders now."""
    for field, name in REQUIRED.items():
        if body.get(field) in (None, ""):
            return missing(name)
    code = _wrong_key(body) or _wrong_institution(body, closed) or _wrong_kind(body) or _wrong_account(body)
    if code is None and not isinstance(body["conceptoPago"], str):
        return missing("CONCEPTO PAGO")
    if code is None and max(len(str(body[name])) for name in ("conceptoPago", "nombreBeneficiario")) > MAX_TEXT:
        code = 2
    if code is None and (centavos(body["monto"]) or 0) <= 0:
        code = -20
    if code is None and not body.get("cuentaOrdenante"):
        code = -200
    if code is None and body["cuentaOrdenante"] == body["cuentaBeneficiario"]:
        code = -24
    if code is None and not _is_ours(str(body["cuentaOrdenante"])):
        return refusal(-7, {**body, "cuentaBeneficiario": body["cuentaOrdenante"]})
    if code is None and str(body.get("fechaOperacion") or f"{today:%Y%m%d}") != f"{today:%Y%m%d}":
        code = -16
    return None if code is None else refusal(code, body)


def check_account(body: Mapping[str, Any], *, company: bool) -> Refusal | None:
    """Why STP refuses to register this account, if it does."""
    dates = ("fechaConstitucion",) if company else ("apellidoPaterno", "fechaNacimiento")
    for name in ("cuenta", "rfcCurp", "nombre", *dates):
        if not body.get(name):
            return {"descripcion": f"El campo {name.upper()} obligatorio", "id": 5}
    person = r"[A-Z]{4}[0-9]{6}[A-Z]{6}[A-Z0-9][0-9]|[A-ZÑ&]{4}[0-9]{6}[A-Z0-9]{3}"
    form = r"[A-ZÑ&]{3}[0-9]{6}[A-Z0-9]{3}" if company else person
    if re.fullmatch(form, str(body["rfcCurp"])) is None:
        return {"descripcion": "rfc/curp invalido", "id": 1}
    if re.fullmatch(r"[A-Z0-9 &]{1,50}", str(body["nombre"])) is None:
        return {"descripcion": "El campo NOMBRE es invalido", "id": 1}
    return None if _is_ours(str(body["cuenta"])) else {"descripcion": "Cuenta invalida", "id": 4}


def exact(value: Any) -> str:
    """JSON text in which a ``Decimal`` is a number with two decimals, which a float cannot guarantee."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{json.dumps(key)}:{exact(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(exact, value)) + "]"
    return f"{value:.2f}" if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)


def check_digit(first_17: str) -> str:
    """Check digit: weights 3, 7, 1 over 17 digits, each product mod 10, ten's complement of the sum (CLABE)."""
    total = sum(int(digit) * weight % 10 for digit, weight in zip(first_17, (3, 7, 1) * 6, strict=False))
    return str(-total % 10)


def is_clabe(text: str) -> bool:
    """True for 18 ASCII digits with a correct check digit."""
    return re.fullmatch(r"[0-9]{18}", text) is not None and check_digit(text[:17]) == text[17]


def _plain(value: Any) -> str:
    return "" if value is None else f"{value:.2f}" if isinstance(value, Decimal) else str(value)


def _wrong_key(body: Mapping[str, Any]) -> int | None:
    key = str(body["claveRastreo"])
    if len(key) > 30:
        return -26
    return None if re.fullmatch(r"[A-Za-z0-9]+", key) else -34


def _wrong_institution(body: Mapping[str, Any], closed: frozenset[int]) -> int | None:
    bank = str(body.get("institucionContraparte") or "")
    if not bank:
        return -5
    if str(body.get("institucionOperante")) != "90646":
        return -6
    if re.fullmatch(r"2001|(37|40|90)[0-9]{3}", bank) is None or int(bank) in closed:
        return -9
    return None


def _wrong_kind(body: Mapping[str, Any]) -> int | None:
    if body["tipoCuentaBeneficiario"] != 40:
        return -11
    return None if body["tipoPago"] == 1 else -13


def _wrong_account(body: Mapping[str, Any]) -> int | None:
    account, bank = str(body["cuentaBeneficiario"]), str(body["institucionContraparte"])
    if re.fullmatch(r"[0-9]{18}", account) is None:
        return -23
    if not is_clabe(account):
        return -21
    return None if bank[-3:] == account[:3] else -22


def _is_ours(account: str) -> bool:
    return account.startswith("646") and is_clabe(account)
