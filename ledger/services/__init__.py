"""Services of the ledger: ``postings`` write through ``journal.post``, ``balance`` reads."""
