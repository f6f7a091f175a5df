"""Staff's view of the books: nothing in them can be changed."""

from ledger.admin.account import AccountAdmin
from ledger.admin.transaction import TransactionAdmin

__all__ = ["AccountAdmin", "TransactionAdmin"]
