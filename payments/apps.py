from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PaymentsConfig(AppConfig):
    name = "payments"
    verbose_name = _("Payments")

    def ready(self) -> None:
        from payments.services import invariant, payout, payout_resolution

        invariant.register()
        payout.register()
        payout_resolution.register()
