"""Services of staff accounts, approvals, sign-in limits and banking days."""
