"""WSGI entry point. ``DJANGO_SETTINGS_MODULE`` says which settings; there is no default in front of real money."""

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
