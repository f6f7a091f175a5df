"""Admin pages of the ledger: read-only; corrections are proposed and approved by a second person."""

from ledger.admin.account import AccountAdmin
from ledger.admin.adjustment import AdjustmentAdmin
from ledger.admin.breach import BreachAdmin
from ledger.admin.hold import HoldAdmin
from ledger.admin.seal import SealAdmin
from ledger.admin.transaction import TransactionAdmin

__all__ = ["AccountAdmin", "AdjustmentAdmin", "BreachAdmin", "HoldAdmin", "SealAdmin", "TransactionAdmin"]
