"""Building blocks of API views: strict input, keyset pagination, problem+json errors."""
