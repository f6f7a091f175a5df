"""Infrastructure of the merchant API (authentication, rate limits, idempotency) and its account endpoints."""
