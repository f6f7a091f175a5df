"""Models of the kyc app."""

from kyc.models.case import Case, CaseTransition
from kyc.models.document import Document

__all__ = ["Case", "CaseTransition", "Document"]
