"""What schemathesis cannot know: real objects, and Conekta's signature (loaded by name, SCHEMATHESIS_HOOKS)."""

from __future__ import annotations

import base64
import json
import os
import zlib
from typing import Any

import schemathesis
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from requests.auth import AuthBase

_known = json.loads(os.environ["FUZZ_KNOWN"])
_key: Any = serialization.load_pem_private_key(_known["conekta_key"].encode(), None)


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Every other time an object that exists, else whatever was made up."""
    for name, real in _known["ids"].items():
        if path_parameters and name in path_parameters and zlib.crc32(repr(path_parameters).encode()) % 2:
            path_parameters[name] = real
    return path_parameters


class Digest(AuthBase):
    """Conekta's DIGEST over whatever is sent."""

    def __call__(self, request: Any) -> Any:
        raw = request.body or b""
        raw = raw.encode() if isinstance(raw, str) else raw
        if isinstance(raw, bytes) and "DIGEST" not in request.headers:
            signed = _key.sign(raw, padding.PKCS1v15(), hashes.SHA256())
            request.headers["DIGEST"] = base64.b64encode(signed).decode()
        return request


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Signed, so that the inbox reads what is in it."""
    if case.operation.path == "/webhooks/conekta":
        kwargs["auth"] = Digest()
