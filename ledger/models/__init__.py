from ledger.models.account import Account
from ledger.models.adjustment import Adjustment
from ledger.models.breach import Breach
from ledger.models.hold import Hold
from ledger.models.seal import Seal
from ledger.models.snapshot import Snapshot
from ledger.models.transaction import Entry, Transaction

__all__ = ["Account", "Adjustment", "Breach", "Entry", "Hold", "Seal", "Snapshot", "Transaction"]
