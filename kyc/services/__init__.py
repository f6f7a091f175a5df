"""Business operations on verification cases and documents."""
