"""Services of the ledger: ``journal.post`` is the only writer of transactions, ``balance`` reads."""
