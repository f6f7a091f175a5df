"""The Django project: settings, URLs, processes and health checks. Wiring only."""
