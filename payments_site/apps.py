from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PaymentsSiteConfig(AppConfig):
    name = "payments_site"
    verbose_name = _("Site")

    def ready(self) -> None:
        from payments_site import checks  # noqa: F401 - registers the system checks
