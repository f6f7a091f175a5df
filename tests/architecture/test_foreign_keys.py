"""Foreign keys point downwards: what import-linter cannot see, because models name each other as text."""

from __future__ import annotations

from django.apps import apps

ROOMS = [
    {"payments_site"},
    {"backoffice"},
    {"reconciliation"},
    {"webhooks"},
    {"payments"},
    {"kyc", "ledger"},
    {"merchants"},
    {"staff"},
    {"core"},
]
"""The rooms of the house from top to bottom; neighbours on one floor do not know each other."""

FLOOR = {room: floor for floor, rooms in enumerate(ROOMS) for room in rooms}


def test_every_app_of_ours_has_its_floor():
    ours = {config.label for config in apps.get_app_configs() if "site-packages" not in config.path}

    assert ours <= FLOOR.keys()


def test_no_model_points_to_a_higher_room_or_to_a_neighbour():
    upwards = [
        f"{model._meta.label}.{field.name} -> {field.related_model._meta.label}"
        for model in apps.get_models()
        if model._meta.app_label in FLOOR
        for field in [*model._meta.concrete_fields, *model._meta.many_to_many]
        if field.is_relation and field.related_model._meta.app_label in FLOOR
        if field.related_model._meta.app_label != model._meta.app_label
        and FLOOR[field.related_model._meta.app_label] <= FLOOR[model._meta.app_label]
    ]

    assert upwards == []


def test_no_model_of_a_library_points_to_ours():
    inwards = [
        f"{model._meta.label}.{field.name}"
        for model in apps.get_models()
        if model._meta.app_label not in FLOOR
        for field in model._meta.concrete_fields
        if field.is_relation and field.related_model and field.related_model._meta.app_label in FLOOR
    ]

    assert inwards == []
