"""The addresses that providers call: raw bytes in, signature as authenticator, no negotiation, no throttle."""
