from staff.models.account import (
    AccountChange,
    AccountGroupRow,
    AccountPermissionRow,
    AccountProposal,
    AccountRow,
    GroupPermissionRow,
)
from staff.models.approval import Approval, Vote
from staff.models.banking_day import BankingDay
from staff.models.sign_in_counter import SignInCounter

__all__ = [
    "AccountChange",
    "AccountGroupRow",
    "AccountPermissionRow",
    "AccountProposal",
    "AccountRow",
    "Approval",
    "BankingDay",
    "GroupPermissionRow",
    "SignInCounter",
    "Vote",
]
