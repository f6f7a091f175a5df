"""Admin pages of verification cases and documents."""

from kyc.admin.case import CaseAdmin
from kyc.admin.document import DocumentAdmin

__all__ = ["CaseAdmin", "DocumentAdmin"]
