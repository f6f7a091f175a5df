"""The admin site: django-unfold's, with limited sign-in attempts."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import BadRequest
from django.db import DataError
from django.db import Error as DatabaseError
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from unfold.forms import AuthenticationForm
from unfold.sites import UnfoldAdminSite

from staff.services import sign_in_limit
from staff.services.account import acting

logger = logging.getLogger(__name__)


class SignInForm(AuthenticationForm):
    """Records a password hash that Django upgrades at sign-in as the account's own change."""

    def clean(self) -> Any:
        user = User.objects.filter(username=self.cleaned_data.get("username")).first()
        with acting(user or ""):
            return super().clean()


class BackofficeSite(UnfoldAdminSite):
    """Counts sign-in attempts before checking the password; refuses them if they cannot be counted."""

    login_form = SignInForm

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Any:
        """Answer 404 for a NUL in the path and 400 for a DataError on GET, which bad query parameters cause.

        A DataError while saving is a bug and stays a 500.
        """
        inner = super().admin_view(view, cacheable)

        @wraps(inner)
        def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            if "\0" in request.path:
                raise Http404
            try:
                return inner(request, *args, **kwargs)
            except DataError as error:
                if request.method not in ("GET", "HEAD"):
                    raise
                raise BadRequest from error

        return answered

    @method_decorator(never_cache)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method != "POST":
            return super().login(request, extra_context)
        try:
            refused = sign_in_limit.check(request, request.POST.get("username", ""))
        except sign_in_limit.AddressUnreadable:
            logger.error("sign-in refused: X-Forwarded-For cannot be read at the place that TRUSTED_PROXIES says")
            text = _("Your IP address cannot be determined, so you cannot sign in. Contact the site's administrator.")
            return self._refused(request, HTTPStatus.BAD_REQUEST, None, text)
        except DatabaseError:
            logger.exception("sign-ins cannot be counted and are refused")
            text = _("Signing in is not possible right now. Try again in a moment.")
            return self._refused(request, HTTPStatus.SERVICE_UNAVAILABLE, 5, text)
        if refused is not None:
            text = _("Too many sign-in attempts. Wait a few minutes and try again.")
            return self._refused(request, HTTPStatus.TOO_MANY_REQUESTS, refused.retry_after, text)
        return super().login(request, extra_context)

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        with acting(request.user):  # type: ignore[arg-type]
            return super().password_change(request, extra_context)

    def _refused(self, request: HttpRequest, status: int, retry_after: int | None, text: str) -> HttpResponse:
        """The login page with only ``text``, the same whether or not the account exists."""
        context = {
            **self.each_context(request),
            "title": _("Log in"),
            "subtitle": None,
            "app_path": request.get_full_path(),
            "form": self.login_form(request),
            "closed": text,
        }
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        return TemplateResponse(request, "admin/login.html", context, status=status, headers=headers)
