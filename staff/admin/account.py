"""Admin pages of staff accounts and groups.

Only superusers may change them: an account that edits others could make any of them a superuser. Changes that make an
approver are removed from the form and proposed to a second person; the rest is saved at once.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from core.admin import object_link
from core.admin_list import ListAdmin
from staff.models import AccountChange
from staff.services import account

admin.site.unregister(User)
admin.site.unregister(Group)

Kind = AccountChange.Kind


class SuperuserOnly:
    """Only superusers may change objects; others need view permission. Sets the actor for recorded changes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_active and request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_active and request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        with account.acting(request.user):  # type: ignore[arg-type]
            return super().changeform_view(request, *args, **kwargs)  # type: ignore[misc]


# Django's class comes first: it provides forms and pages, unfold only the styling.
@admin.register(User)
class UserAdmin(SuperuserOnly, DjangoUserAdmin, ListAdmin):  # type: ignore[type-arg, misc]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    actions = None
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": (
                    "username",
                    ("first_name", "last_name"),
                    "email",
                    "is_staff",
                    "usable_password",
                    "password1",
                    "password2",
                ),
            },
        ),
    )

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"is_staff": True, **super().get_changeform_initial_data(request)}

    def save_model(self, request: HttpRequest, obj: User, form: ModelForm[User], change: bool) -> None:
        before = User.objects.get(pk=obj.pk) if change else None
        request.withheld = _withhold_flags(obj, before)  # type: ignore[attr-defined]
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: ModelForm[User], formsets: Any, change: bool) -> None:
        user, withheld = form.instance, request.withheld  # type: ignore[attr-defined]
        withheld += _withhold_groups(user, form.cleaned_data)
        withheld += _withhold_permission(user.user_permissions.all(), form.cleaned_data, "user_permissions")
        super().save_related(request, form, formsets, change)
        if withheld:
            _propose(request, user, withheld)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        user = self.get_object(request, unquote(id))
        if (
            request.method == "POST"
            and user is not None
            and user.pk != request.user.pk
            and self.has_change_permission(request, user)
            and account.decides(user)
        ):
            form = self.change_password_form(user, request.POST)
            if form.is_valid() and form.cleaned_data["set_usable_password"]:
                _propose(request, user, [Kind.PASSWORD], password=form.save(commit=False).password)
                return HttpResponseRedirect(reverse("admin:auth_user_change", args=[user.pk]))
        with account.acting(request.user):  # type: ignore[arg-type]
            return super().user_change_password(request, id, form_url)


@admin.register(Group)
class GroupAdmin(SuperuserOnly, DjangoGroupAdmin, ListAdmin):  # type: ignore[misc]
    actions = None

    def save_related(self, request: HttpRequest, form: ModelForm[Group], formsets: Any, change: bool) -> None:
        group, withheld = form.instance, []
        if group.user_set.exists():
            withheld = _withhold_permission(group.permissions.all(), form.cleaned_data, "permissions")
        super().save_related(request, form, formsets, change)
        if withheld:
            _propose(request, group, withheld)


def _withhold_flags(user: User, before: User | None) -> list[str]:
    """Undo the flags of ``user`` that would make an approver; return them."""
    decides = before is not None and account.decides(before)
    withheld = []
    for kind, name in ((Kind.SUPERUSER, "is_superuser"), (Kind.STAFF, "is_staff"), (Kind.ACTIVE, "is_active")):
        gained = getattr(user, name) and not (before is not None and getattr(before, name))
        if gained and (decides or kind == Kind.SUPERUSER):
            setattr(user, name, False)
            withheld.append(str(kind))
    return withheld


def _withhold_groups(user: User, data: dict[str, Any]) -> list[str]:
    """Remove new groups that may decide approvals from the form's data; return them."""
    if "groups" not in data:
        return []
    new = account.deciding_groups() - set(user.groups.values_list("name", flat=True))
    withheld = [group.name for group in data["groups"] if group.name in new]
    data["groups"] = [group for group in data["groups"] if group.name not in withheld]
    return [f"{Kind.GROUP}:{name}" for name in withheld]


def _withhold_permission(held: Any, data: dict[str, Any], field: str) -> list[str]:
    """Remove the permission to decide from the form's data, unless already held; return it."""

    def decides(permission: Permission) -> bool:
        return account.label(permission) == account.DECIDE

    if not any(decides(permission) for permission in data.get(field, ())) or any(map(decides, held)):
        return []
    data[field] = [permission for permission in data[field] if not decides(permission)]
    return [f"{Kind.PERMISSION}:{account.DECIDE}"]


def _propose(request: HttpRequest, target: User | Group, grants: list[str], *, password: str = "") -> None:
    proposed = account.propose(target, grants, request.user, password=password)  # type: ignore[arg-type]
    text = _("This makes or resets an account that decides approvals, so a second person must approve it: {link}")
    messages.warning(request, format_html(text, link=object_link(proposed.public_id)))
