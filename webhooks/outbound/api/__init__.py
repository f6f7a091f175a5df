"""The merchant API of outbound webhooks."""
