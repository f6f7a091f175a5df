"""Double entry. It knows nothing of payments: who moves money names a kind, a source and legs."""
