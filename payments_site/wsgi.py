"""WSGI entry point. ``DJANGO_SETTINGS_MODULE`` must be set; there is no default."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections

_django = get_wsgi_application()


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Run Django, and return the database connection to the pool before the first byte is sent.

    Django itself would return it when the response is closed, after the client has read it.
    """
    response: Any = _django(environ, start_response)
    if getattr(response, "streaming", True):  # a file, possibly in the server's own wrapper
        close_old_connections()
        return response
    content = list(response)
    response.close()
    return content
