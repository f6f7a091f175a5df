"""Admin pages of the app, found here by Django."""

from webhooks.inbound.admin import ProviderEventAdmin

__all__ = ["ProviderEventAdmin"]
