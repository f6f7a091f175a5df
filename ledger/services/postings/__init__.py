"""Named postings, one function per flow of money; each docstring gives its accounts as debit / credit.

Callers state what happened, not the legs. Each function must run inside the database transaction of the change that it
books, takes amounts in centavos and raises ``ledger.services.errors``.
"""
