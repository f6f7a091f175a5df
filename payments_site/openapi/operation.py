from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema


class OperationSchema(AutoSchema):
    """One operation, marked if it belongs to the merchant API: those have scopes."""

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        operation: dict[str, Any] | None = super().get_operation(*args, **kwargs)
        if operation is not None and hasattr(self.view, "scopes"):
            operation["x-merchant-api"] = True
        return operation
