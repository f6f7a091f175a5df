"""WSGI entry point. ``DJANGO_SETTINGS_MODULE`` says which settings; there is no default in front of real money."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections

_django = get_wsgi_application()


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Django's answer. The database connection goes back to its pool before the first byte goes out.

    Django gives it back when the answer is closed, which is when the caller has read it.
    """
    response: Any = _django(environ, start_response)
    if getattr(response, "streaming", True):  # a file; servers that send files themselves get it in their own wrapper
        close_old_connections()
        return response
    content = list(response)
    response.close()
    return content
