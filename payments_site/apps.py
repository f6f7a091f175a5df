"""App configuration of the project itself."""

from django.apps import AppConfig
from django.core.cache import close_caches
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, reset_queries
from django.utils.translation import gettext_lazy as _


class PaymentsSiteConfig(AppConfig):
    name = "payments_site"
    verbose_name = _("Site")

    def ready(self) -> None:
        from payments_site import checks  # noqa: F401 - registers the system checks

        # Connections return to the pool at the end of each request, nothing logs queries, and caches stay open.
        request_started.disconnect(reset_queries)
        request_started.disconnect(close_old_connections)
        request_finished.disconnect(close_caches)
