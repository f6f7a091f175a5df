"""Uploaded files: content type detection by their bytes, and download responses that browsers do not execute."""

from __future__ import annotations

import hashlib
import io
from pathlib import PurePath
from typing import IO, Any

from django.http import FileResponse

from core.errors import FieldError, InvalidRequest

MAX_BYTES = 10 * 1024 * 1024
MAX_PIXELS = 50_000_000

_IMAGES = {"JPEG": "image/jpeg", "PNG": "image/png"}


def content_type_of(raw: bytes, *, field: str = "file") -> str:
    """``image/jpeg``, ``image/png`` or ``application/pdf``, detected from the bytes.

    Raises ``InvalidRequest`` for ``field`` if the file is empty, over 10 MiB or 50 million pixels, or of another type.
    """
    if not raw:
        raise _refused(field, "The file is empty.")
    if len(raw) > MAX_BYTES:
        raise _refused(field, "The file is larger than 10 MiB.")
    if raw.startswith(b"%PDF-") and b"%%EOF" in raw[-2048:]:
        return "application/pdf"
    from PIL import Image  # saves memory in processes that never read an image

    try:
        with Image.open(io.BytesIO(raw), formats=list(_IMAGES)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise _refused(field, "The image has more than 50 million pixels.")
            kind = _IMAGES[str(image.format)]
            image.verify()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _refused(field, "The file is not a JPEG or PNG image nor a PDF document.") from error
    return kind


def printable_name(name: str) -> str:
    """The last part of a file name, without control or bidirectional characters; for display only."""
    base = PurePath(name.replace("\\", "/")).name
    return "".join(c for c in base if c.isprintable())[:150] or "document"


def sha256_of(content: IO[bytes]) -> str:
    """SHA-256 of an open file, in hexadecimal; leaves the position at its end."""
    return hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]


def as_download(content: IO[Any], *, name: str, content_type: str) -> FileResponse:
    """An open file as a download that browsers neither execute, render under our origin, nor cache."""
    return FileResponse(
        content,
        as_attachment=True,
        filename=name,
        content_type=content_type,
        headers={
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "sandbox",
            "Cache-Control": "private, no-store",
        },
    )


def _refused(field: str, message: str) -> InvalidRequest:
    return InvalidRequest(message, errors=[FieldError(field, "invalid_file", message)])
