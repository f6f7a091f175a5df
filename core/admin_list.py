"""Base of the back office's lists, which handle invalid query strings and slow queries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import PAGE_VAR
from django.core.exceptions import SuspiciousOperation
from django.db import DataError, OperationalError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import SimpleTemplateResponse
from django.utils.translation import gettext as _
from psycopg.errors import QueryCanceled
from unfold.admin import ModelAdmin

from core import search

MAX_PAGES = 200
"""Deepest page of a list: PostgreSQL reads all rows before a page."""

_LOOKUPS = ("", "_from", "_to", "__exact", "__id__exact", "__in", "__isnull", "__isempty")
"""Suffixes of a field's name in the parameters of unfold's filters and in our own links."""


class UnreadableQuery(Exception):
    """A list's query string has an unknown filter or an invalid value."""


class ListAdmin(ModelAdmin):
    """Base of all model admins."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list, rendered here so that errors of its queries are handled here.

        A page beyond ``MAX_PAGES`` becomes the first one, an invalid query string redirects to the unfiltered list, and
        a query that exceeds the statement timeout shows an empty list; each with a message.
        """
        page = request.GET.get(PAGE_VAR, "")
        if page.isascii() and page.isdigit() and (len(page) > 9 or int(page) > MAX_PAGES):
            shallow = request.GET.copy()
            del shallow[PAGE_VAR]
            request.GET = shallow  # type: ignore[assignment]
            text = _("Pages end at %(number)s. Narrow by day, or look for a text.")
            messages.warning(request, text % {"number": MAX_PAGES})
        try:
            if any("\0" in text for pair in request.GET.lists() for text in (pair[0], *pair[1])):
                raise UnreadableQuery
            return _rendered(super().changelist_view(request, extra_context))
        except OperationalError as error:
            if not isinstance(error.__cause__, QueryCanceled):
                raise
            text = _("This took too long and was stopped. Narrow by day or merchant, or look for a whole id or CLABE.")
            messages.warning(request, text)
            request.without_rows = True  # type: ignore[attr-defined]
            return _rendered(super().changelist_view(request, extra_context))
        except (UnreadableQuery, SuspiciousOperation, DataError):
            if not request.GET:
                raise
            text = _("The filter in the address cannot be read, so the list is shown without it.")
            messages.error(request, text)
            return HttpResponseRedirect(request.path)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        try:
            return super().get_changelist_instance(request)
        except IncorrectLookupParameters as error:
            raise UnreadableQuery from error

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        return rows.none() if getattr(request, "without_rows", False) else rows

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Allow only the lookups of a list's filters.

        Django allows every lookup on a model's own fields, including slow regular expressions and a search for a
        secret's hash character by character.
        """
        return lookup in self._filter_parameters(request)

    def _filter_parameters(self, request: Any) -> Iterator[str]:
        for item in self.get_list_filter(request):
            if isinstance(item, type):
                yield getattr(item, "parameter_name")  # noqa: B009 - of a SimpleListFilter
                continue
            field = item if isinstance(item, str) else item[0]
            yield from (f"{field}{lookup}" for lookup in _LOOKUPS)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Rows that contain every word of the term; if none do, rows with its joined form (``core.search.joined``)."""
        found = super().get_search_results(request, queryset, search_term)
        joined = search.public_id(search_term) or search.joined(search_term)
        if joined is None or joined == search_term or not self.search_fields or found[0].exists():
            return found
        return super().get_search_results(request, queryset, joined)


def _rendered(response: HttpResponse) -> HttpResponse:
    return response.render() if isinstance(response, SimpleTemplateResponse) else response
