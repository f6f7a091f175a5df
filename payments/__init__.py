"""Payments, deposits, provider accounts and reports."""
