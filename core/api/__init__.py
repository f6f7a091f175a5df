"""What every API view shares: strict input, keyset pages, problem+json errors."""
