"""Taking in a document: what it is, is decided by its bytes."""

from __future__ import annotations

import hashlib
import io
from pathlib import PurePath
from typing import BinaryIO

from django.core.files.base import ContentFile
from django.db import transaction
from PIL import Image

from core.errors import FieldError, IllegalTransition, InvalidRequest
from kyc.models import Case, Document
from kyc.services.case import lock

MAX_BYTES = 10 * 1024 * 1024
MAX_PIXELS = 50_000_000

_IMAGES = {"JPEG": "image/jpeg", "PNG": "image/png"}


@transaction.atomic
def add(case_id: int, *, document_type: str, name: str, content: BinaryIO, uploaded_by: str) -> Document:
    """Store one file of a draft case.

    Raises ``InvalidRequest`` for a file that is empty, over 10 MiB, or neither JPEG, PNG nor PDF by its content, and
    ``IllegalTransition`` if the case is not a draft. ``name`` is kept for people to read; it decides nothing.
    """
    case = lock(case_id)
    if case.status != Case.Status.DRAFT:
        raise IllegalTransition("Documents can be added only while the case is a draft.")
    if document_type not in Document.Type.values:
        raise _refused("document_type", "Choose one of the listed document types.")
    raw = content.read(MAX_BYTES + 1)
    document = Document(
        case=case,
        document_type=document_type,
        original_name=_printable(name),
        content_type=content_type_of(raw),
        size=len(raw),
        sha256=hashlib.sha256(raw).hexdigest(),
        uploaded_by=uploaded_by,
    )
    document.file.save(document.public_id, ContentFile(raw), save=False)
    document.save(force_insert=True)
    return document


def content_type_of(raw: bytes) -> str:
    """``image/jpeg``, ``image/png`` or ``application/pdf``, by the bytes. Raises ``InvalidRequest`` for the rest."""
    if not raw:
        raise _refused("file", "The file is empty.")
    if len(raw) > MAX_BYTES:
        raise _refused("file", "The file is larger than 10 MiB.")
    if raw.startswith(b"%PDF-") and b"%%EOF" in raw[-2048:]:
        return "application/pdf"
    try:
        with Image.open(io.BytesIO(raw), formats=list(_IMAGES)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise _refused("file", "The image has more than 50 million pixels.")
            kind = _IMAGES[str(image.format)]
            image.verify()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _refused("file", "The file is not a JPEG or PNG image nor a PDF document.") from error
    return kind


def _printable(name: str) -> str:
    """The last part of a file name, without control or direction characters."""
    base = PurePath(name.replace("\\", "/")).name
    return "".join(c for c in base if c.isprintable())[:150] or "document"


def _refused(field: str, message: str) -> InvalidRequest:
    return InvalidRequest(message, errors=[FieldError(field, "invalid_file", message)])
