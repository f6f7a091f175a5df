"""The OpenAPI document, generated from the views once per process."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import translation
from drf_spectacular.generators import SchemaGenerator


def copy() -> Path:
    """The checked-in copy; ``make openapi`` writes it."""
    return Path(settings.BASE_DIR) / "docs" / "openapi.json"


@lru_cache
def document() -> dict[str, Any]:
    """The API as OpenAPI 3.1."""
    with translation.override("en"):
        found: dict[str, Any] = json.loads(
            json.dumps(SchemaGenerator().get_schema(request=None, public=True), default=str)
        )
    return found


@lru_cache
def as_bytes() -> bytes:
    """The document as served and checked in."""
    return json.dumps(document(), indent=1, ensure_ascii=False).encode() + b"\n"


@lru_cache
def etag() -> str:
    """HTTP ETag of the document."""
    return f'"{hashlib.sha256(as_bytes()).hexdigest()[:32]}"'
