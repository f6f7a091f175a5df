"""SQL that takes a report to the end of its life."""

from __future__ import annotations

BEGIN_REPORT = "UPDATE payments_report SET status = 'processing', attempt = 1, leased_until = now() + interval '1 min'"
FILE = {
    "status": "'completed'",
    "rows_done": "1",
    "rows_total": "1",
    "size": "1",
    "sha256": "repeat('a', 64)",
    "completed_at": "now()",
    "expires_at": "now() + interval '1 day'",
}
COMPLETE_REPORT = f"UPDATE payments_report SET {', '.join(f'{column} = {value}' for column, value in FILE.items())}"
