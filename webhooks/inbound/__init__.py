"""The inbox: notices from providers are stored and applied in one transaction before the response is sent."""
