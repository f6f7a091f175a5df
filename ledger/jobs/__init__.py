"""Background jobs of the ledger. Each is idempotent."""

from ledger.jobs import chain, debt, invariant, snapshot

__all__ = ["chain", "debt", "invariant", "snapshot"]
