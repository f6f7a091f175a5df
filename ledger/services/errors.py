"""Why the ledger refuses to post. Nothing was written.

PostingRefused
├── InvalidAmount        not a whole number of centavos, zero, negative where it may not be, or beyond 2^53
├── UnsupportedCurrency  not MXN
├── UnknownAccount       not in the chart of accounts
├── SameAccountTwice     one account on both sides
├── Unbalanced           fewer than two legs, or they do not sum to zero
├── InvalidDescription   empty or over 200 characters
├── EffectiveTooOld      more than seven days ago, and not an adjustment
├── AlreadyPosted        this kind and source are in the books
├── NothingLeftToReverse more than the rest of the transaction
├── MoneyHeld            only a hold and its outcome move reserved money
├── HoldResolved         the hold was captured or released before
└── HoldOpen             the hold has no outcome yet
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
    """The chart of accounts does not know this account."""

    code = "unknown_account"


class SameAccountTwice(PostingRefused):
    """An account cannot stand on both sides of a transaction."""

    code = "same_account_twice"


class Unbalanced(PostingRefused):
    """A transaction has two legs or more, and they sum to zero."""

    code = "unbalanced"


class InvalidDescription(PostingRefused):
    """A description has 1 to 200 characters."""

    code = "invalid_description"


class EffectiveTooOld(PostingRefused):
    """Only an adjustment may take effect more than seven days ago."""

    code = "effective_too_old"


class AlreadyPosted(PostingRefused):
    """This is posted already."""

    code = "already_posted"


class NothingLeftToReverse(PostingRefused):
    """No more can be reversed than is left of the transaction."""

    code = "nothing_left_to_reverse"


class MoneyHeld(PostingRefused):
    """Only its hold's outcome moves reserved money."""

    code = "money_held"


class HoldResolved(PostingRefused):
    """This hold was captured or released before."""

    code = "hold_resolved"


class HoldOpen(PostingRefused):
    """This hold has no outcome yet."""

    code = "hold_open"
