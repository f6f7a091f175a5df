"""Reads the whole request body, chunked or not, before anything else is done for the request.

Django and REST framework read as many bytes as ``CONTENT_LENGTH`` announces and take a chunked body for an empty one.
Here the body is buffered and its length set, so views can rely on both.
"""

from __future__ import annotations

import io
import tempfile
import time
from typing import Any, BinaryIO, cast

from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest

from core.api.parsers import MAX_BODY_BYTES
from core.errors import BodyTimeout, InvalidRequest
from payments_site.callers import Caller

MAX_UPLOAD_BYTES = 32 * 1024 * 1024
"""Limit for forms with a file. The page reports files above 10 MiB; larger bodies are not read at all."""

SECONDS, UPLOAD_SECONDS = 10.0, 60.0
"""Time limits for the whole body."""

_PIECE = 64 * 1024


def buffer_body(request: HttpRequest) -> BinaryIO | None:
    """Replace the request's stream by the complete body; return the file that the caller must close, if any.

    No database connection is held meanwhile. Raises ``InvalidRequest`` for a body that is too large, truncated or
    wrongly framed, and ``BodyTimeout``.
    """
    meta = request.META
    coding = meta.get("HTTP_TRANSFER_ENCODING")
    announced = None if coding else _announced_length(meta)
    if announced == 0 or not isinstance(request, WSGIRequest):
        return None
    if coding and coding.strip().lower() != "chunked":
        raise InvalidRequest("Send the body without a transfer coding, or chunked.")
    is_upload = request.content_type == "multipart/form-data" and request.path_info.startswith("/admin/")
    most = MAX_UPLOAD_BYTES if is_upload else MAX_BODY_BYTES
    if announced is not None and announced > most:
        raise _too_large(is_upload)
    body = cast("BinaryIO", tempfile.SpooledTemporaryFile(_PIECE)) if is_upload else io.BytesIO()
    caller = request.environ.get("gunicorn.socket")
    if isinstance(caller, Caller):  # other servers have their own timeouts
        caller.body_until = time.monotonic() + (UPLOAD_SECONDS if is_upload else SECONDS)
    try:
        size = _copy(request.environ["wsgi.input"], body, most + 1 if announced is None else announced)
        if announced is not None and size < announced:
            raise InvalidRequest("The body is shorter than its Content-Length.")
        if size > most:
            raise _too_large(is_upload)
    except BaseException:
        body.close()
        raise
    finally:
        if isinstance(caller, Caller):
            caller.body_until = None
    body.seek(0)
    request._stream = body
    meta["CONTENT_LENGTH"] = str(size)
    meta.pop("HTTP_TRANSFER_ENCODING", None)
    return body if is_upload else None


def _announced_length(meta: dict[str, Any]) -> int:
    """The Content-Length; 0 if there is none."""
    try:
        return max(0, int(meta.get("CONTENT_LENGTH") or 0))
    except ValueError:
        return 0


def _copy(source: Any, target: BinaryIO, most: int) -> int:
    """Copy at most ``most`` bytes; return the number copied."""
    left = most
    try:
        while left and (piece := source.read(min(left, _PIECE))):
            target.write(piece)
            left -= len(piece)
    except TimeoutError:
        raise BodyTimeout from None
    except Exception as error:  # each server raises its own exceptions for bad chunks and lost clients
        raise InvalidRequest("The body breaks off, or its chunks are malformed.") from error
    return most - left


def _too_large(is_upload: bool) -> InvalidRequest:
    return InvalidRequest("The file is larger than 10 MiB." if is_upload else "The body is larger than 64 KiB.")
