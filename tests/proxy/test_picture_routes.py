"""Names of picture models that a new installation knows."""

import importlib
from typing import Any

import pytest
from django.apps import apps
from django.db import connection

from proxy.catalog import Catalog
from proxy.models import Route, Target
from proxy.wire.image_models import canvas_of, is_imagen, split_size

pytestmark = pytest.mark.django_db
MIGRATION = importlib.import_module("proxy.migrations.0011_picture_routes")
NAMES = {row[0] for row in (*MIGRATION.GEMINI, *MIGRATION.IMAGEN)}


class Editor:
    connection = connection


@pytest.fixture
def shipped() -> None:
    Route.objects.filter(name__in=NAMES).delete()
    MIGRATION.ship(apps, Editor)


def targets(name: str) -> list[tuple[Any, ...]]:
    rows = Target.objects.filter(route__name=name)
    return list(rows.values_list("kind", "upstream_model", "image_size"))


@pytest.mark.parametrize("size", ["2K", "4K"])
@pytest.mark.parametrize(
    ("name", "model", "site"),
    [
        ("gemini-3-pro-image-preview", MIGRATION.PRO, "gemini-pro-image"),
        ("gemini-3.1-flash-image-preview", MIGRATION.FLASH, "gemini-flash-image"),
        ("gemini-2.5-flash-image", MIGRATION.FLASH, "gemini-flash-image"),
    ],
)
def test_a_name_with_a_size_is_drawn_at_that_size(
    shipped: None, name: str, model: str, site: str, size: str
) -> None:
    assert targets(f"{name}-{size.lower()}") == [
        ("gemini_api", model, size),
        ("gemini_web", site, size),
    ]
    assert size in canvas_of(model).tiers


@pytest.mark.parametrize(
    "name",
    [
        "gemini-2.0-flash-exp",
        "gemini-2.0-flash-exp-image-generation",
        "gemini-2.0-flash-preview-image-generation",
        "gemini-2.5-flash-image-preview",
    ],
)
def test_an_old_name_is_answered_by_a_current_model(shipped: None, name: str) -> None:
    assert ("gemini_api", "gemini-2.5-flash-image", "") in targets(name)


def test_imagen_is_for_keys_only(shipped: None) -> None:
    found = {name for name in NAMES if is_imagen(name)}
    assert len(found) == 4
    for name in found:
        ((kind, model, size),) = targets(name)
        assert (kind, is_imagen(model), size) == ("gemini_api", True, "")


def test_all_of_them_draw_and_plain_names_leave_the_size_open(shipped: None) -> None:
    routes = Route.objects.filter(name__in=NAMES)
    assert set(routes.values_list("category", flat=True)) == {"image"}
    for name in NAMES:
        wanted = split_size(name)[1] or ""
        assert {size for _, _, size in targets(name)} == {wanted}


def test_a_route_of_an_operator_stays_as_it_is() -> None:
    Route.objects.filter(name__in=NAMES).delete()
    own = Route.objects.create(name="gemini-2.0-flash-exp", description="mine")
    own.targets.create(upstream_model="own-model")
    MIGRATION.ship(apps, Editor)
    assert targets(own.name) == [("gemini_api", "own-model", "")]
    MIGRATION.withdraw(apps, Editor)
    assert list(Route.objects.filter(name__in=NAMES)) == [own]


def test_picture_routes_are_listed_with_the_methods_they_answer(shipped: None) -> None:
    catalog = Catalog()
    catalog.load()
    methods = {info.name: info.methods for info in catalog.models()}
    both = {"generateContent", "streamGenerateContent", "predict"}
    assert set(methods["imagen-4.0-generate-001"]) == both
    assert set(methods["gemini-3-pro-image"]) == both | {"countTokens"}
    assert all("predict" in methods[name] for name in NAMES)
