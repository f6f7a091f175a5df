"""Endpoints of the merchant API for payments, CLABEs, balances and reports."""
