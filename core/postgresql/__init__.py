"""A database backend (``ENGINE``): Django's for PostgreSQL, with a pool that costs a request less."""
