from ledger.models.account import Account
from ledger.models.transaction import Entry, Transaction

__all__ = ["Account", "Entry", "Transaction"]
