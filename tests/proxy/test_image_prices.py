"""What pictures of the shipped models cost."""

import importlib
from decimal import Decimal

import pytest
from django.apps import apps
from django.db import connection

from proxy.catalog import Catalog
from proxy.models import Route, Target
from proxy.wire.image_models import canvas_of

pytestmark = pytest.mark.django_db
MIGRATION = importlib.import_module("proxy.migrations.0012_image_prices")
SHIPPED = [
    importlib.import_module(f"proxy.migrations.{name}")
    for name in ("0002_shipped_routes", "0005_xai_routes", "0011_picture_routes")
]


class Editor:
    connection = connection


@pytest.fixture
def shipped() -> None:
    Route.objects.all().delete()
    for migration in SHIPPED:
        migration.ship(apps, Editor)
    MIGRATION.price(apps, Editor)


def add(**fields: str) -> Target:
    route = Route.objects.create(name="own", category="image")
    return route.targets.create(**fields)


@pytest.mark.parametrize(
    ("name", "usd"),
    [
        ("gemini-2.5-flash-image", "0.039"),
        ("gemini-2.0-flash-exp", "0.039"),
        ("gemini-2.5-flash-image-4k", "0.151"),
        ("gemini-3.1-flash-image-preview", "0.067"),
        ("gemini-3.1-flash-image-preview-2k", "0.101"),
        ("gemini-3-pro-image", "0.134"),
        ("gemini-3-pro-image-preview-2k", "0.134"),
        ("gemini-3-pro-image-preview-4k", "0.24"),
        ("imagen-3.0-generate-002", "0.04"),
        ("imagen-4.0-fast-generate-001", "0.02"),
        ("imagen-4.0-ultra-generate-001", "0.06"),
        ("grok-2-image", "0.07"),
    ],
)
def test_the_catalogue_knows_the_list_price(shipped: None, name: str, usd: str) -> None:
    catalog = Catalog()
    catalog.load()
    assert catalog.resolve(name).targets[0].image_price == Decimal(usd)


def test_all_that_is_paid_for_has_a_price_but_where_it_goes_by_quality(
    shipped: None,
) -> None:
    without = Target.objects.filter(route__category="image", image_price=None)
    paid = without.exclude(kind="gemini_web").values_list("upstream_model", flat=True)
    assert list(paid) == ["grok-imagine-image-2.0"]


def test_nothing_else_has_a_price(shipped: None) -> None:
    priced = Target.objects.exclude(image_price=None)
    assert set(priced.values_list("route__category", flat=True)) == {"image"}
    assert set(priced.values_list("kind", flat=True)) == {"gemini_api", "xai"}


def test_prices_are_for_sizes_that_the_models_draw() -> None:
    for _, model, size, _ in MIGRATION.PRICES:
        assert not size or size in canvas_of(model).tiers


def test_a_price_of_an_operator_stays() -> None:
    target = add(upstream_model="gemini-2.5-flash-image", image_price="0")
    MIGRATION.price(apps, Editor)
    target.refresh_from_db()
    assert target.image_price == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "gemini_web", "upstream_model": "gemini-2.5-flash-image"},
        {"kind": "gemini_api", "upstream_model": "own-model"},
        {"upstream_model": "gemini-2.5-flash-image", "image_size": "2K"},
    ],
)
def test_what_is_on_no_list_stays_without_a_price(fields: dict[str, str]) -> None:
    target = add(**fields)
    MIGRATION.price(apps, Editor)
    target.refresh_from_db()
    assert target.image_price is None
