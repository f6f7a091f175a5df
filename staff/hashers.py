"""How staff's passwords are hashed."""

from __future__ import annotations

import sys
from typing import Any

from django.contrib.auth.hashers import PBKDF2PasswordHasher


class PBKDF2Aside(PBKDF2PasswordHasher):
    """Django's PBKDF2, the same hashes, in a thread of the operating system where the process runs greenlets.

    It takes a third of a second of arithmetic on purpose, during which no notice of a provider could be answered.
    """

    def encode(self, password: str, salt: str, iterations: int | None = None) -> str:
        gevent: Any = sys.modules.get("gevent")
        if gevent is None:  # command line, worker
            return super().encode(password, salt, iterations)
        return str(gevent.get_hub().threadpool.apply(super().encode, (password, salt, iterations)))
