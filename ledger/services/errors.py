"""Errors for refused postings. Nothing was written.

PostingRefused
├── InvalidAmount        not a whole number of centavos from 1 to 2^53 - 1, or not allowed here
├── UnsupportedCurrency  not MXN
├── UnknownAccount       not in the chart of accounts
├── SameAccountTwice     one account in two legs
├── Unbalanced           fewer than two legs, or they do not sum to zero
├── InvalidDescription   empty or over 200 characters
├── EffectiveTooOld      more than seven days ago, and not an adjustment
├── AlreadyPosted        this kind and source are already posted
├── NothingLeftToReverse more than is left of the transaction
├── MoneyHeld            only holds may move reserved money
├── HoldResolved         the hold is already captured or released
└── HoldOpen             the hold is not resolved yet
"""

from __future__ import annotations

from core.errors import PaymentsError


class PostingRefused(PaymentsError):
    """The ledger refuses this posting."""

    code = "posting_refused"


class InvalidAmount(PostingRefused):
    """An amount is a whole number of centavos, greater than zero and at most 2^53 - 1."""

    code = "invalid_amount"


class UnsupportedCurrency(PostingRefused):
    """The only currency is MXN."""

    code = "unsupported_currency"


class UnknownAccount(PostingRefused):
    """This account is not in the chart of accounts."""

    code = "unknown_account"


class SameAccountTwice(PostingRefused):
    """An account can appear only once in a transaction."""

    code = "same_account_twice"


class Unbalanced(PostingRefused):
    """A transaction needs two or more legs that sum to zero."""

    code = "unbalanced"


class InvalidDescription(PostingRefused):
    """A description has 1 to 200 characters."""

    code = "invalid_description"


class EffectiveTooOld(PostingRefused):
    """Only an adjustment may take effect more than seven days ago."""

    code = "effective_too_old"


class AlreadyPosted(PostingRefused):
    """This is already posted."""

    code = "already_posted"


class NothingLeftToReverse(PostingRefused):
    """Only what is left of the transaction can be reversed."""

    code = "nothing_left_to_reverse"


class MoneyHeld(PostingRefused):
    """Reserved money is moved only by its hold."""

    code = "money_held"


class HoldResolved(PostingRefused):
    """This hold is already captured or released."""

    code = "hold_resolved"


class HoldOpen(PostingRefused):
    """This hold is not resolved yet."""

    code = "hold_open"
