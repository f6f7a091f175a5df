"""Cursors of the payments list as the API gives them, for requests made beforehand."""

import base64


def cursor_after(public_id: str, pk: int) -> str:
    """The cursor of the page that follows this payment."""
    return base64.urlsafe_b64encode(public_id.encode()).decode().rstrip("=")
