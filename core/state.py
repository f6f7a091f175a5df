"""State machines: the status field, a refresh that keeps it protected, transition rows, the legal changes.

django-fsm (the maintained django-fsm-2) decides in Python; ``core.db.StateGuard`` makes the database refuse the same
changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import models
from django_fsm import FSMField, FSMFieldMixin

from core import clock


class StatusField(FSMField):
    """A protected django-fsm field that migrations contain as a plain ``CharField``.

    Migrations outlive libraries: they must not import one for a text column.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("protected", True)
        kwargs.setdefault("max_length", 32)
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        name, _, args, kwargs = super().deconstruct()
        kwargs.pop("protected", None)
        return name, "django.db.models.CharField", args, kwargs


class ProtectedRefreshMixin(models.Model):
    """``refresh_from_db`` for models with a protected status field, safe under threads.

    django-fsm's own mixin switches protection off on the field object, which all threads share. Here the value is
    removed from this instance instead: the descriptor refuses only to overwrite an existing value.
    """

    class Meta:
        abstract = True

    def refresh_from_db(
        self, using: str | None = None, fields: Iterable[str] | None = None, from_queryset: Any = None
    ) -> None:
        deferred = self.get_deferred_fields()
        if fields is None:
            # Named explicitly, because Django takes a removed value for a deferred field and would not read it.
            fields = [f.attname for f in self._meta.concrete_fields if f.attname not in deferred]
            self._prefetched_objects_cache: dict[str, Any] = {}
            for related in self._meta.related_objects:
                if related.is_cached(self):
                    related.delete_cached_value(self)
        fields = list(fields)
        protected = [f.attname for f in self._meta.concrete_fields if isinstance(f, FSMFieldMixin) and f.protected]
        taken = {name: self.__dict__.pop(name) for name in protected if name in fields and name in self.__dict__}
        try:
            super().refresh_from_db(using, fields, from_queryset)
        finally:
            for name, value in taken.items():
                self.__dict__.setdefault(name, value)


class TransitionRow(models.Model):
    """One change of state, written in the same transaction and never changed.

    Subclasses add a foreign key named after their object and the trigger ``core.db.AppendOnly``.
    """

    class Cause(models.TextChoices):
        API = "api", "API"
        NOTICE = "notice", "provider notice"
        STAFF = "staff", "staff"
        WORKER = "worker", "worker"

    from_status = models.CharField(max_length=32, blank=True)
    to_status = models.CharField(max_length=32)
    cause = models.CharField(max_length=16, choices=Cause.choices)
    actor = models.CharField(max_length=100, help_text="Who: an API key's id, a staff user, a provider account.")
    reference = models.CharField(max_length=100, blank=True, help_text="What: the id of the request or event.")
    reason = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        abstract = True
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.from_status or '∅'} → {self.to_status}"


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of a change of state: its cause, the actor, and the id of the request or event."""

    cause: TransitionRow.Cause
    actor: str
    reference: str = ""


def legal_changes(model: type[models.Model], field: str = "status") -> list[tuple[str, str]]:
    """Sorted (source, target) pairs of every django-fsm transition declared on ``model.field``."""
    # Models in migrations have no methods; the transitions are on the real class.
    declared = apps.get_model(model._meta.label)
    pairs = set()
    for transition in getattr(declared(), f"get_all_{field}_transitions")():
        if transition.source == "*" or transition.on_error is not None:
            raise ValueError(f"{model.__name__}.{transition.name}: source='*' and on_error are not supported")
        pairs.add((str(transition.source), str(transition.target)))
    return sorted(pairs)
