"""Recorded changes of staff accounts, and proposed changes that need a second person.

Database triggers on Django's tables write ``AccountChange``. The transaction's setting ``payments.actor``
(``staff.services.account.acting``) names the actor: a user's id, or ``operator``.
"""

from __future__ import annotations

from functools import partial

import pgtrigger
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import models
from django.utils.translation import gettext_lazy as _

from core import clock, ids
from core.db import AppendOnly, Frozen, Guard, NoDelete
from core.fields import IdentifierField


class AccountChange(models.Model):
    """A change that created an account, granted it rights or let another person use it. Lost rights are not recorded.

    ``detail`` names the permission or the group; ``through`` the group whose members received the permission.
    """

    class Kind(models.TextChoices):
        CREATED = "created", _("account created")
        PASSWORD = "password", _("password set")
        USERNAME = "username", _("user name changed")
        EMAIL = "email", _("e-mail changed")
        ACTIVE = "active", _("account reactivated")
        STAFF = "staff", _("access to the back office")
        SUPERUSER = "superuser", _("superuser")
        PERMISSION = "permission", _("permission")
        GROUP = "group", _("member of the group")

    class Source(models.TextChoices):
        STAFF = "staff", _("staff")
        OPERATOR = "operator", _("command on the host")
        UNKNOWN = "unknown", _("unknown")

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("account"))
    kind = models.CharField(_("change"), max_length=16, choices=Kind.choices)
    detail = models.CharField(_("detail"), max_length=250, blank=True)
    through = models.CharField(_("through the group"), max_length=150, blank=True)
    source = models.CharField(_("source"), max_length=16, choices=Source.choices)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("by")
    )
    created_at = models.DateTimeField(_("when"), default=clock.now, editable=False)

    class Meta:
        verbose_name = _("account change")
        verbose_name_plural = _("account changes")
        ordering = ["-id"]
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(
                condition=models.Q(source="staff", actor__isnull=False)
                | models.Q(source__in=["operator", "unknown"], actor__isnull=True),
                name="account_change_has_actor",
            )
        ]
        triggers = [
            AppendOnly(),
            Guard(
                name="second_person",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                func="""
                    NEW.created_at = clock_timestamp();
                    IF NEW.source <> 'operator' AND public.staff_makes_approver(NEW) AND NOT EXISTS (
                        SELECT 1 FROM public.staff_accountproposal p
                        JOIN public.staff_approval a ON a.kind = 'staff.make_approver' AND a.subject = p.public_id
                        WHERE p.public_id = current_setting('payments.proposal', true) AND p.applied_at IS NULL
                            AND a.status = 'approved' AND a.maker_id = NEW.actor_id
                            AND (p.user_id = NEW.user_id
                                OR p.group_id = (SELECT id FROM public.auth_group WHERE name = NEW.through))
                            AND p.grants ? concat_ws(':', NEW.kind, nullif(NEW.detail, ''))
                            AND (NEW.kind <> 'password'
                                OR p.password = (SELECT password FROM public.auth_user WHERE id = NEW.user_id))
                    ) THEN
                        RAISE EXCEPTION 'staff: making or resetting an approver needs a second person'
                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = 'second_person';
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.what}"

    @property
    def what(self) -> str:
        """Description of the change."""
        text = f"{self.get_kind_display()} {self.detail}".strip()
        return f"{text} ({self.through})" if self.through else text


class AccountProposal(models.Model):
    """A change of an account or of a group's permissions that makes an approver and needs an ``Approval``.

    ``grants`` are ``kind`` or ``kind:detail`` of the resulting ``AccountChange``. ``password`` is the hash that a reset
    sets; it is cleared when the proposal is closed.
    """

    public_id = IdentifierField(
        _("id"), max_length=40, unique=True, editable=False, default=partial(ids.new_id, "account_proposal")
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("account")
    )
    group = models.ForeignKey(Group, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("group"))
    grants = models.JSONField(_("grants"))
    password = models.CharField(max_length=128, blank=True)
    maker = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("proposed by"))
    created_at = models.DateTimeField(_("proposed"), default=clock.now, editable=False)
    applied_at = models.DateTimeField(_("carried out"), null=True, blank=True)

    class Meta:
        verbose_name = _("account proposal")
        verbose_name_plural = _("account proposals")
        ordering = ["-id"]
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(
                condition=models.Q(user__isnull=True, group__isnull=False)
                | models.Q(user__isnull=False, group__isnull=True),
                name="account_proposal_one_target",
            )
        ]
        triggers = [
            NoDelete(),
            Frozen("id", "public_id", "user", "group", "grants", "maker", "created_at"),
            Guard(
                name="settled",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                judges={
                    "password": "can only be emptied",
                    "applied_at": "never changes once `applied_at IS NOT NULL`",
                },
                func="""
                    IF (OLD.applied_at IS NOT NULL AND NEW IS DISTINCT FROM OLD)
                        OR NEW.password NOT IN ('', OLD.password) THEN
                        RAISE EXCEPTION 'staff_accountproposal: applied_at, password cannot change any more'
                            USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return str(self.user or self.group)


# Proxies of Django's tables, to declare triggers on them.


class AccountRow(User):
    """``auth_user``."""

    class Meta:
        proxy = True
        default_permissions = ()
        triggers = [
            Guard(
                name="recorded",
                when=pgtrigger.After,
                operation=pgtrigger.Insert
                | pgtrigger.UpdateOf("username", "email", "password", "is_active", "is_staff", "is_superuser"),
                func="""
                    IF TG_OP = 'INSERT' THEN
                        PERFORM public.staff_record_change(NEW.id, 'created');
                    ELSE
                        IF NEW.username <> OLD.username THEN
                            PERFORM public.staff_record_change(NEW.id, 'username');
                        END IF;
                        IF NEW.email <> OLD.email THEN
                            PERFORM public.staff_record_change(NEW.id, 'email');
                        END IF;
                        -- A hash that begins with ! is none: nobody can sign in with it.
                        IF NEW.password <> OLD.password AND left(NEW.password, 1) <> '!' THEN
                            PERFORM public.staff_record_change(NEW.id, 'password');
                        END IF;
                        IF NEW.is_active AND NOT OLD.is_active THEN
                            PERFORM public.staff_record_change(NEW.id, 'active');
                        END IF;
                        IF NEW.is_staff AND NOT OLD.is_staff THEN
                            PERFORM public.staff_record_change(NEW.id, 'staff');
                        END IF;
                    END IF;
                    IF NEW.is_superuser AND (TG_OP = 'INSERT' OR NOT OLD.is_superuser) THEN
                        PERFORM public.staff_record_change(NEW.id, 'superuser');
                    END IF;
                    RETURN NULL;
                """,
            )
        ]


_LOCK_GROUP = "PERFORM 1 FROM public.auth_group WHERE id = NEW.group_id FOR NO KEY UPDATE;"
"""Serializes adding a member and adding a permission, so that one of the two sees the other."""


class AccountPermissionRow(User.user_permissions.through):  # type: ignore[name-defined]
    """``auth_user_user_permissions``."""

    class Meta:
        proxy = True
        default_permissions = ()
        triggers = [
            Guard(
                name="recorded",
                when=pgtrigger.After,
                operation=pgtrigger.Insert | pgtrigger.Update,
                func="""
                    PERFORM public.staff_record_change(
                        NEW.user_id, 'permission', public.staff_permission_label(NEW.permission_id)
                    );
                    RETURN NULL;
                """,
            )
        ]


class AccountGroupRow(User.groups.through):  # type: ignore[name-defined]
    """``auth_user_groups``."""

    class Meta:
        proxy = True
        default_permissions = ()
        triggers = [
            Guard(
                name="recorded",
                when=pgtrigger.After,
                operation=pgtrigger.Insert | pgtrigger.Update,
                func=_LOCK_GROUP
                + """
                    PERFORM public.staff_record_change(NEW.user_id, 'group', g.name)
                    FROM public.auth_group g WHERE g.id = NEW.group_id;
                    RETURN NULL;
                """,
            )
        ]


class GroupPermissionRow(Group.permissions.through):  # type: ignore[name-defined]
    """``auth_group_permissions``."""

    class Meta:
        proxy = True
        default_permissions = ()
        triggers = [
            Guard(
                name="recorded",
                when=pgtrigger.After,
                operation=pgtrigger.Insert | pgtrigger.Update,
                func=_LOCK_GROUP
                + """
                    PERFORM public.staff_record_change(
                        m.user_id, 'permission', public.staff_permission_label(NEW.permission_id), g.name
                    )
                    FROM public.auth_user_groups m JOIN public.auth_group g ON g.id = m.group_id
                    WHERE m.group_id = NEW.group_id;
                    RETURN NULL;
                """,
            )
        ]
