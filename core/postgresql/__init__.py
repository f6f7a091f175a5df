"""Database backend (``ENGINE``): Django's PostgreSQL backend with a cheaper checkout from the connection pool."""
