"""Webhooks: ``inbound`` receives notices from providers."""
