"""The domain: payments, deposits, provider accounts, their states and the money they move."""
