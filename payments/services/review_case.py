"""Decisions about deposits in suspense: staff credits or assigns the money, with a reason.

Lock order: review case, deposit, payment, ledger accounts.
"""

from __future__ import annotations

from dataclasses import dataclass

from core import clock, ids
from core.db import transaction_required
from core.errors import FieldError, IllegalTransition, InvalidRequest
from core.money import fee_with_iva
from core.state import Origin
from kyc.services import case as kyc_case
from merchants.models import Merchant
from payments.models import Clabe, Deposit, Payment, ReviewCase
from payments.providers import registry
from payments.services import deposit as deposit_service
from payments.services import topup
from payments.services.fee import additional_fee, terms
from payments.services.payment import create_for_deposit, lock
from payments.services.policy import PAYABLE
from payments.services.provider_account import company_accounts
from payments.services.transition import record_review_case


@dataclass(frozen=True, slots=True)
class Destination:
    """The recipient of the money, with fee and IVA in centavos.

    Without a payment, a new one is created, unless ``clabe`` is a funding CLABE: then the money is a top-up.
    """

    merchant: Merchant
    payment: Payment | None
    clabe: Clabe | None
    fee: int
    fee_tax: int
    net: int

    @property
    def is_topup(self) -> bool:
        """True if the money is added to the merchant's balance without payment and fee."""
        return self.clabe is not None and self.clabe.purpose == Clabe.Purpose.FUNDING


@transaction_required
def credit(case_id: int, *, origin: Origin, reason: str) -> ReviewCase:
    """Credit the money to the payment or CLABE to which it was sent.

    Raises ``IllegalTransition`` if the case is resolved, ``InvalidRequest`` if the destination is unknown or cannot
    receive money, or without a reason.
    """
    case = _open_case(case_id, reason)
    to = original_destination(case)
    before = case.status
    _move(case, to, origin, reason)
    case.credit(at=clock.now())
    case.save(update_fields=["status", "resolved_at"])
    record_review_case(case, from_status=before, origin=origin, reason=reason)
    return case


@transaction_required
def assign(case_id: int, target: str, *, origin: Origin, reason: str) -> ReviewCase:
    """Credit the money to another payment, reusable CLABE or merchant, by public id.

    Raises the errors of ``credit``, and ``InvalidRequest`` for a target that does not exist in this mode.
    """
    case = _open_case(case_id, reason)
    to = other_destination(case, target)
    before = case.status
    _move(case, to, origin, reason)
    case.assign(at=clock.now())
    case.save(update_fields=["status", "resolved_at"])
    record_review_case(case, from_status=before, origin=origin, reason=reason)
    return case


def original_destination(case: ReviewCase) -> Destination:
    """The payment or CLABE to which the payer sent the money. Raises ``InvalidRequest`` if it cannot receive it."""
    deposit = case.deposit
    if deposit.payment is not None:
        return _payment(deposit, deposit.payment)
    if deposit.reusable_clabe is not None:
        return _new_payment(deposit, deposit.reusable_clabe.merchant, deposit.reusable_clabe)
    raise InvalidRequest("The destination of this money is unknown: assign it to a payment, a CLABE or a merchant.")


def other_destination(case: ReviewCase, target: str) -> Destination:
    """The object with the public id ``target``, of the deposit's mode and provider. Raises ``InvalidRequest``.

    Suspended merchants and, in live mode, merchants without an approved identity are refused.
    """
    deposit = case.deposit
    accounts = {account.pk for account in company_accounts(deposit.provider_account)}
    if ids.is_id(target, "payment"):
        payment = Payment.objects.select_related("merchant", "reusable_clabe").filter(public_id=target).first()
        if payment is not None and payment.livemode == deposit.livemode:
            if payment.pk == deposit.payment_id:
                raise _wrong_target("The money was sent to this payment: credit it there.")
            if payment.provider_account_id not in accounts:
                raise _wrong_target("This payment is paid by another method.")
            _require_eligible(payment.merchant, deposit)
            return _payment(deposit, payment)
    if ids.is_id(target, "clabe"):
        clabe = Clabe.objects.select_related("merchant").filter(public_id=target).first()
        if clabe is not None and clabe.livemode == deposit.livemode:
            if clabe.pk == deposit.reusable_clabe_id:
                raise _wrong_target("The money was sent to this CLABE: credit it there.")
            if clabe.provider_account_id not in accounts:
                raise _wrong_target("A CLABE accepts SPEI transfers only.")
            _require_eligible(clabe.merchant, deposit)
            return _new_payment(deposit, clabe.merchant, clabe)
    if ids.is_id(target, "merchant"):
        merchant = Merchant.objects.filter(public_id=target).first()
        if merchant is not None:
            _require_eligible(merchant, deposit)
            return _new_payment(deposit, merchant, None)
    raise _wrong_target("There is no payment, CLABE or merchant with this id in this mode.")


def _open_case(case_id: int, reason: str) -> ReviewCase:
    """The open case with its deposit, both locked."""
    if not reason.strip():
        raise InvalidRequest("Enter a reason.", errors=[FieldError("reason", "required", "Enter a reason.")])
    case = ReviewCase.objects.select_for_update(of=("self",)).get(pk=case_id)
    if case.status == ReviewCase.Status.TO_MATCH:
        raise IllegalTransition("This may be the return of a payout: match it, or say that it is none, first.")
    if case.status != ReviewCase.Status.OPEN:
        raise IllegalTransition("This case is resolved already.")
    deposits = Deposit.objects.select_for_update(of=("self",))
    case.deposit = deposits.select_related(
        "provider_account", "payment__merchant", "payment__reusable_clabe", "reusable_clabe__merchant"
    ).get(pk=case.deposit_id)
    return case


def _move(case: ReviewCase, to: Destination, origin: Origin, reason: str) -> None:
    if to.clabe is not None and to.is_topup:
        topup.credit_from_suspense(case.deposit, to.clabe, origin=origin, reason=reason)
        return
    if to.payment is None:
        payment = create_for_deposit(case.deposit, to.merchant, reusable_clabe=to.clabe, origin=origin, reason=reason)
    else:
        payment = lock(to.payment.pk)
        _require_payable(payment)
    deposit_service.credit_from_suspense(case.deposit, payment, origin=origin, reason=reason)


def _payment(deposit: Deposit, payment: Payment) -> Destination:
    _require_payable(payment)
    fee, fee_tax = additional_fee(payment, deposit.amount)
    return Destination(payment.merchant, payment, None, fee, fee_tax, deposit.amount - fee - fee_tax)


def _new_payment(deposit: Deposit, merchant: Merchant, clabe: Clabe | None) -> Destination:
    if clabe is not None and clabe.purpose == Clabe.Purpose.FUNDING:
        return Destination(merchant, None, clabe, 0, 0, deposit.amount)
    method = registry.method_at(deposit.provider_account.provider).name
    costs = terms(merchant, Payment.Method(method), clock.mexico_city_date(clock.now()))
    fee, fee_tax = fee_with_iva(deposit.amount, percent=costs.percent, fixed=costs.fixed, rate=costs.iva)
    return Destination(merchant, None, clabe, fee, fee_tax, deposit.amount - fee - fee_tax)


def _require_eligible(merchant: Merchant, deposit: Deposit) -> None:
    if merchant.status != Merchant.Status.ACTIVE:
        raise _wrong_target("This merchant is suspended: money cannot be assigned to it.")
    if deposit.livemode and not kyc_case.is_approved(merchant):
        raise _wrong_target("The identity of this merchant is not approved: it cannot receive live money.")


def _require_payable(payment: Payment) -> None:
    if payment.status not in PAYABLE:
        raise _wrong_target("This payment has failed or was reversed: it cannot receive money.")


def _wrong_target(message: str) -> InvalidRequest:
    return InvalidRequest(message, errors=[FieldError("target", "invalid", message)])
