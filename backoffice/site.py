"""The back office's site: unfold's, with a door that counts."""

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
    """Unfold's. A hash that Django renews when its password is right is that account's own change."""

    def clean(self) -> Any:
        user = User.objects.filter(username=self.cleaned_data.get("username")).first()
        with acting(user or ""):
            return super().clean()


class BackofficeSite(UnfoldAdminSite):
    """Every try to sign in is counted before the password is looked at; what cannot be counted is refused."""

    login_form = SignInForm

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Any:
        """Django's, for addresses that PostgreSQL cannot read too: no object has a NUL in its id, and what else is
        asked for in vain is a bad request. A DataError while something is saved stays an error of ours."""
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
            text = _("Your address cannot be read, so signing in is not possible. Tell whoever runs this site.")
            return self._closed(request, HTTPStatus.BAD_REQUEST, None, text)
        except DatabaseError:
            logger.exception("sign-ins cannot be counted: nobody gets in")
            text = _("Signing in is not possible right now. Try again in a moment.")
            return self._closed(request, HTTPStatus.SERVICE_UNAVAILABLE, 5, text)
        if refused is not None:
            text = _("Too many tries to sign in. Wait a few minutes and try again.")
            return self._closed(request, HTTPStatus.TOO_MANY_REQUESTS, refused.retry_after, text)
        return super().login(request, extra_context)

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        with acting(request.user):  # type: ignore[arg-type]
            return super().password_change(request, extra_context)

    def _closed(self, request: HttpRequest, status: int, retry_after: int | None, text: str) -> HttpResponse:
        """The login page with nothing but ``text``: the same for every account, existing or not."""
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
