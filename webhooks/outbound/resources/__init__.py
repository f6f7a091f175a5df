"""JSON representations of outbound webhooks."""
