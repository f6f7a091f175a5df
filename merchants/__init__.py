"""Merchants, their API keys, their event feed, and the infrastructure of the merchant API."""
