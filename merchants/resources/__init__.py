"""JSON representations of this app's objects, for API responses, events and webhooks."""
