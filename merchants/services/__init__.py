"""Business operations on merchants' API keys, Idempotency-Keys and events."""
