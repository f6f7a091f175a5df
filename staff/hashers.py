"""Password hasher for staff accounts."""

from __future__ import annotations

import sys
from typing import Any

from django.contrib.auth.hashers import PBKDF2PasswordHasher


class ThreadedPBKDF2(PBKDF2PasswordHasher):
    """Django's PBKDF2 with the same hashes, computed in a native thread when the process runs greenlets.

    Hashing takes a third of a second of CPU on purpose; in a greenlet it would block every other request.
    """

    def encode(self, password: str, salt: str, iterations: int | None = None) -> str:
        gevent: Any = sys.modules.get("gevent")
        if gevent is None:  # command line, worker
            return super().encode(password, salt, iterations)
        return str(gevent.get_hub().threadpool.apply(super().encode, (password, salt, iterations)))
