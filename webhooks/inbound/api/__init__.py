"""Webhook endpoints for providers: raw bodies, authentication by secret or signature, no negotiation or throttling."""
