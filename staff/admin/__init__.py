from staff.admin import account, approval, proposal

__all__ = ["account", "approval", "proposal"]
