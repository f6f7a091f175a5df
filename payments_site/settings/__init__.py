"""Django settings: one module per environment."""
