"""Base class for admin pages of objects that need a second person's approval."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminTextareaWidget

from core.admin import EMPTY, ReadOnlyAdmin, action_page, format_moment, object_or_404
from staff.models import Approval, Vote
from staff.services import approval as approval_service


class CommentForm(forms.Form):
    """Comment of the second person."""

    comment = forms.CharField(
        label=_("comment"), required=False, max_length=500, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3})
    )


class DecisionAdmin(ReadOnlyAdmin):
    """Actions approve, reject and withdraw, offered only to users who may perform them."""

    actions_detail = ["approve", "reject", "withdraw"]
    titles: ClassVar[dict[str, Any]]
    """Titles of the three pages."""
    texts: ClassVar[dict[str, Any]]
    """The effect of each action, in a sentence."""
    refusals: Callable[[], AbstractContextManager[None]] = staticmethod(nullcontext)
    """Context manager that converts the action's errors into form errors."""

    def approval_of(self, obj: Any) -> Approval | None:
        """The approval of ``obj``."""
        raise NotImplementedError

    def offered(self, request: HttpRequest, obj: Any) -> set[str]:
        """Names of the actions that make sense for ``obj`` now; their permissions are checked besides."""
        asked = self.approval_of(obj)
        if asked is None:
            return set()
        if approval_service.may_decide(asked, request.user):  # type: ignore[arg-type]
            return {"approve", "reject"}
        is_mine = asked.status == asked.Status.PENDING and asked.maker_id == request.user.pk
        return {"withdraw"} if is_mine else set()

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        found = self.get_object(request, str(object_id))
        offered = self.offered(request, found) if found is not None else set()
        steps = super().get_actions_detail(request, object_id)
        return [step for step in steps if step.method.original_function_name in offered]

    @action(
        description=_("Approve"),
        permissions=["staff.decide_approval"],
        url_path="approve",
        icon="check",
        variant=ActionVariant.SUCCESS,
    )
    def approve(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._vote(request, object_id, "approve", Vote.Decision.APPROVE)

    @action(
        description=_("Reject"),
        permissions=["staff.decide_approval"],
        url_path="reject",
        icon="close",
        variant=ActionVariant.DANGER,
    )
    def reject(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._vote(request, object_id, "reject", Vote.Decision.REJECT)

    @action(description=_("Withdraw"), permissions=["staff.add_approval"], url_path="withdraw", icon="undo")
    def withdraw(self, request: HttpRequest, object_id: str) -> HttpResponse:
        found = object_or_404(self, request, object_id)
        asked = self._asked(found)

        def run(data: dict[str, Any]) -> None:
            approval_service.cancel(asked.pk, request.user)  # type: ignore[arg-type]

        return action_page(self, request, found, title=self.titles["withdraw"], run=run, text=self.texts["withdraw"])

    def decision_table(self, asked: Approval) -> dict[str, Any]:
        """The votes as a table for the object's trail."""
        decided = [
            [
                format_moment(v.created_at, seconds=True),
                v.get_decision_display(),
                v.user.get_username(),
                v.comment or EMPTY,
            ]
            for v in asked.votes.select_related("user")
        ]
        if asked.status == asked.Status.PENDING:
            waiting = _("until %(moment)s") % {"moment": format_moment(asked.expires_at)}
            decided.append(["", str(_("waiting for a second person")), "", str(waiting)])
        return {
            "title": _("Decision"),
            "headers": [_("when"), _("decision"), _("by"), _("comment")],
            "rows": decided,
        }

    def _vote(self, request: HttpRequest, object_id: str, step: str, decision: str) -> HttpResponse:
        found = object_or_404(self, request, object_id)

        def run(data: dict[str, Any]) -> None:
            with self.refusals():
                approval_service.vote(self._asked(found).pk, request.user, decision, data["comment"])  # type: ignore[arg-type]

        return action_page(
            self,
            request,
            found,
            title=self.titles[step],
            form_class=CommentForm,
            run=run,
            text=f"{'; '.join(approval_service.describe(self._asked(found)))}. {self.texts[step]}",
            danger=decision == Vote.Decision.REJECT,
        )

    def _asked(self, obj: Any) -> Approval:
        asked = self.approval_of(obj)
        if asked is None:
            raise Http404
        return asked
