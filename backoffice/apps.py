from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps
from django.utils.translation import gettext_lazy as _


class BackofficeConfig(AppConfig):
    name = "backoffice"
    verbose_name = _("Back office")
    default = True


class BackofficeAdminConfig(admin_apps.AdminConfig):
    """Django's admin with our site as the default one; stands for ``django.contrib.admin`` in INSTALLED_APPS."""

    default = False
    default_site = "backoffice.site.BackofficeSite"
