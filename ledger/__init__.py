"""Double-entry ledger. It does not depend on payments: callers pass a kind, a source and legs."""
