"""One folder a provider, pure Python without Django: what they send, what they are sent."""
