"""The admin site, its home page, and admin pages that join several apps."""
