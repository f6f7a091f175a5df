"""JSON forms of what the ledger knows."""
