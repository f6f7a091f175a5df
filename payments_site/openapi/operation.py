"""drf-spectacular's schema class for the views of this project."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema


class OperationSchema(AutoSchema):
    """Marks operations of the merchant API, whose views have scopes."""

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        operation: dict[str, Any] | None = super().get_operation(*args, **kwargs)
        if operation is not None and hasattr(self.view, "scopes"):
            operation["x-merchant-api"] = True
        return operation
