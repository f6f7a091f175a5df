"""JSON forms of payments: one source for API reads, events and webhooks."""
