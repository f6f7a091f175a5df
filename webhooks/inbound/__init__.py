"""Providers call us: a notice is stored and applied in one transaction, and only then answered."""
