"""Staff accounts: sign-in limits, approvals by a second person, recorded account changes, banking days."""
