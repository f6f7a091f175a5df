"""Background jobs of the app, found here by procrastinate."""

from webhooks.inbound import jobs

__all__ = ["jobs"]
