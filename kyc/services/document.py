"""Storing of uploaded documents, whose content type is detected from their bytes."""

from __future__ import annotations

import hashlib
from typing import BinaryIO

from django.core.files.base import ContentFile
from django.db import transaction

from core.errors import FieldError, IllegalTransition, InvalidRequest
from core.files import MAX_BYTES, content_type_of, printable_name
from kyc.models import Case, Document
from kyc.services.case import lock


@transaction.atomic
def add(case_id: int, *, document_type: str, name: str, content: BinaryIO, uploaded_by: str) -> Document:
    """Store one file of a draft case.

    Raises ``InvalidRequest`` for a file that is empty, over 10 MiB, or neither JPEG, PNG nor PDF by its content, and
    ``IllegalTransition`` if the case is not a draft. ``name`` is stored for display only.
    """
    case = lock(case_id)
    if case.status != Case.Status.DRAFT:
        raise IllegalTransition("Documents can be added only while the case is a draft.")
    if document_type not in Document.Type.values:
        message = "Choose one of the listed document types."
        raise InvalidRequest(message, errors=[FieldError("document_type", "invalid_file", message)])
    raw = content.read(MAX_BYTES + 1)
    document = Document(
        case=case,
        document_type=document_type,
        original_name=printable_name(name),
        content_type=content_type_of(raw),
        size=len(raw),
        sha256=hashlib.sha256(raw).hexdigest(),
        uploaded_by=uploaded_by,
    )
    document.file.save(document.public_id, ContentFile(raw), save=False)
    document.save(force_insert=True)
    return document
