"""Named postings, one function a flow of money; each docstring is its line in the chart: debit / credit.

Callers say what happened, never which legs. Every function must run inside the transaction of the change it books,
takes amounts in centavos, and raises ``ledger.services.errors`` by name.
"""
