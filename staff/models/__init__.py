from staff.models.approval import Approval, Vote
from staff.models.sign_in_counter import SignInCounter

__all__ = ["Approval", "SignInCounter", "Vote"]
