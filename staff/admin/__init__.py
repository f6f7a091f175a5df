from staff.admin import account, approval, banking_day, proposal

__all__ = ["account", "approval", "banking_day", "proposal"]
