"""Staff's desk for verifying merchants."""

from kyc.admin.case import CaseAdmin
from kyc.admin.document import DocumentAdmin

__all__ = ["CaseAdmin", "DocumentAdmin"]
