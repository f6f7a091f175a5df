"""Admin pages of verification cases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from core.admin import (
    ReadOnlyAdmin,
    ReadOnlyInline,
    action_page,
    badge,
    id_column,
    moment,
    object_or_404,
    staff_origin,
    transition_fields,
)
from kyc.admin.document import DocumentInline
from kyc.models import Case, CaseTransition, Document
from kyc.services import case as case_service
from kyc.services import document as document_service
from merchants.models import Merchant

STATUS_COLOURS = {
    Case.Status.SUBMITTED: "warning",
    Case.Status.APPROVED: "success",
    Case.Status.REJECTED: "danger",
}

_ACTION_STATES = {
    "upload": Case.Status.DRAFT,
    "submit": Case.Status.DRAFT,
    "approve": Case.Status.SUBMITTED,
    "reject": Case.Status.SUBMITTED,
    "reopen": Case.Status.REJECTED,
}
"""Action -> the state in which its button is shown. The service decides whether the step is allowed."""


class ReasonForm(forms.Form):
    """Form for the reason of a decision."""

    reason = forms.CharField(label=_("reason"), max_length=500, widget=UnfoldAdminTextareaWidget)


class DocumentForm(forms.Form):
    """Form for uploading a document."""

    document_type = forms.ChoiceField(label=_("type"), choices=Document.Type.choices, widget=UnfoldAdminSelectWidget)
    file = forms.FileField(
        label=_("file"),
        help_text=_("JPEG, PNG or PDF, at most 10 MiB."),
        widget=UnfoldAdminFileFieldWidget,
        allow_empty_file=True,
    )


class CaseTransitionInline(ReadOnlyInline):
    model = CaseTransition
    fields = transition_fields(Case.Status, STATUS_COLOURS)
    verbose_name_plural = _("history")


@admin.register(Case)
class CaseAdmin(ReadOnlyAdmin):
    list_display = [
        "merchant",
        id_column(),
        badge("status", STATUS_COLOURS, _("status")),
        "decided_by",
        moment("decided_at", _("decided")),
        moment("created_at", _("created")),
    ]
    list_filter = ["status"]
    search_fields = ["public_id__exact", "merchant__name", "merchant__legal_name", "merchant__public_id__exact"]
    list_select_related = ["merchant"]
    inlines = [DocumentInline, CaseTransitionInline]
    actions_detail = ["upload", "submit", "approve", "reject", "reopen"]
    add_fieldsets = [(None, {"fields": ["merchant"]})]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("merchant", "public_id"),
                    (badge("status", STATUS_COLOURS, _("status")), moment("created_at", _("created"))),
                    ("decided_by", moment("decided_at", _("decided"))),
                    "decision_reason",
                ]
            },
        )
    ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return ModelAdmin.has_add_permission(self, request)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return super().get_readonly_fields(request, obj) if obj is not None else ()

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return super().get_inlines(request, obj) if obj is not None else []

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "merchant":
            kwargs["queryset"] = Merchant.objects.filter(kyc_case=None)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Case, form: Any, change: bool) -> None:
        opened = case_service.open_case(obj.merchant, origin=staff_origin(request))
        obj.pk, obj.public_id = opened.pk, opened.public_id

    def response_add(self, request: HttpRequest, obj: Case, post_url_continue: str | None = None) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:kyc_case_change", args=[obj.public_id]))

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        case = self.get_object(request, str(object_id))
        return [
            step
            for step in super().get_actions_detail(request, object_id)
            if case is not None and _ACTION_STATES[step.method.original_function_name] == case.status
        ]

    @action(description=_("Upload document"), permissions=["kyc.add_document"], url_path="upload", icon="upload_file")
    def upload(self, request: HttpRequest, object_id: str) -> HttpResponse:
        case = object_or_404(self, request, object_id)

        def run(data: dict[str, Any]) -> None:
            document_service.add(
                case.pk,
                document_type=data["document_type"],
                name=data["file"].name,
                content=data["file"],
                uploaded_by=request.user.get_username(),
            )

        return action_page(self, request, case, title=_("Upload document"), form_class=DocumentForm, run=run)

    @action(
        description=_("Submit"),
        permissions=["kyc.change_case"],
        url_path="submit",
        icon="send",
        variant=ActionVariant.PRIMARY,
    )
    def submit(self, request: HttpRequest, object_id: str) -> HttpResponse:
        text = _("The documents are complete and ready for a decision.")
        return self._move(request, object_id, _("Submit for a decision"), case_service.submit, text=text)

    @action(
        description=_("Approve"),
        permissions=["kyc.change_case"],
        url_path="approve",
        icon="check",
        variant=ActionVariant.SUCCESS,
    )
    def approve(self, request: HttpRequest, object_id: str) -> HttpResponse:
        text = _("Live payments open for this merchant.")
        return self._move(request, object_id, _("Approve case"), case_service.approve, form=ReasonForm, text=text)

    @action(
        description=_("Reject"),
        permissions=["kyc.change_case"],
        url_path="reject",
        icon="close",
        variant=ActionVariant.DANGER,
    )
    def reject(self, request: HttpRequest, object_id: str) -> HttpResponse:
        text = _("The merchant stays out of live mode.")
        return self._move(
            request, object_id, _("Reject case"), case_service.reject, form=ReasonForm, text=text, danger=True
        )

    @action(description=_("Reopen"), permissions=["kyc.change_case"], url_path="reopen", icon="undo")
    def reopen(self, request: HttpRequest, object_id: str) -> HttpResponse:
        text = _("Documents can be added again.")
        return self._move(request, object_id, _("Reopen case"), case_service.reopen, text=text)

    def _move(
        self,
        request: HttpRequest,
        object_id: str,
        title: Any,
        service: Callable[..., Case],
        *,
        form: type[forms.Form] = forms.Form,
        text: Any = "",
        danger: bool = False,
    ) -> HttpResponse:
        case = object_or_404(self, request, object_id)

        def run(data: dict[str, Any]) -> None:
            service(case.pk, origin=staff_origin(request), **data)

        return action_page(self, request, case, title=title, form_class=form, run=run, text=text, danger=danger)
