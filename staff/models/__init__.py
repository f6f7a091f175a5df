from staff.models.sign_in_counter import SignInCounter

__all__ = ["SignInCounter"]
