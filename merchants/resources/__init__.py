"""JSON forms of the objects here: one source for API reads, events and webhooks."""
