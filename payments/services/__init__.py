"""Services of payments, deposits, review cases, reports and provider accounts."""
