"""Whom we serve: merchants, their API keys, their event feed, and the plumbing of their API."""
