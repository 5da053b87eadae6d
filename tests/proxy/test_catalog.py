"""Model names, their routes, and what is said about unknown ones."""

import threading
from typing import Any

import pytest

from accounts.models import Account
from proxy import catalog as module
from proxy.catalog import Catalog
from proxy.errors import ModelNotFound
from proxy.models import Route
from proxy.scheduling import account_rows
from proxy.scheduling.pool import Pool
from proxy.upstreams.http import Clients


def add(name: str, *targets: str, **fields: Any) -> Route:
    route = Route.objects.create(name=name, **fields)
    for position, target in enumerate(targets or (name,)):
        route.targets.create(upstream_model=target, position=position)
    return route


@pytest.fixture
def catalog(db: None) -> Catalog:
    Route.objects.all().delete()
    add("gemini-2.5-flash", display_name="Flash", description="Fast")
    add("gemini-3.0-pro", "gemini-3-pro-preview")
    add("painter", category="image")
    add("embedder", category="embedding", thinking=False)
    add("off", enabled=False)
    Route.objects.create(name="empty")
    found = Catalog()
    found.load()
    return found


@pytest.mark.parametrize(
    "name",
    [
        "gemini-2.5-flash",
        "models/gemini-2.5-flash",
        "models/models/gemini-2.5-flash",
        "google/gemini-2.5-flash",
        "publishers/google/models/gemini-2.5-flash",
    ],
)
def test_every_spelling_finds_the_route(catalog: Catalog, name: str) -> None:
    assert catalog.resolve(name).name == "gemini-2.5-flash"


def test_an_alias_leads_to_its_upstream_model(catalog: Catalog) -> None:
    plan = catalog.resolve("gemini-3.0-pro")
    assert plan.upstream_model == "gemini-3-pro-preview"
    assert plan.info.name == "gemini-3.0-pro"


def test_targets_come_in_their_order(db: None) -> None:
    route = add("two", "first", "second")
    route.targets.filter(upstream_model="first").update(position=9)
    found = Catalog()
    found.load()
    assert [t.upstream_model for t in found.resolve("two").targets] == [
        "second",
        "first",
    ]


@pytest.mark.parametrize("name", ["off", "empty", "", "gpt-4o", "GEMINI-2.5-FLASH"])
def test_what_is_off_empty_or_unknown_is_not_found(catalog: Catalog, name: str) -> None:
    with pytest.raises(ModelNotFound) as caught:
        catalog.resolve(name)
    assert (caught.value.status, caught.value.code, caught.value.param) == (
        404,
        "model_not_found",
        "model",
    )


def test_near_names_are_offered(catalog: Catalog) -> None:
    with pytest.raises(ModelNotFound, match=r"Did you mean gemini-2\.5-flash"):
        catalog.resolve("models/gemini-2.5-flsh")
    with pytest.raises(ModelNotFound, match="GET /v1/models lists"):
        catalog.resolve("zzzzzz")


def test_a_very_long_name_is_cut_in_the_message(catalog: Catalog) -> None:
    with pytest.raises(ModelNotFound) as caught:
        catalog.resolve("models/" * 1000 + "x" * 100_000)
    assert len(caught.value.message) < 400


def test_models_are_listed_by_name(catalog: Catalog) -> None:
    names = [model.name for model in catalog.models()]
    assert names == sorted(names)
    assert set(names) == {"gemini-2.5-flash", "gemini-3.0-pro", "painter", "embedder"}


def test_a_model_is_described(catalog: Catalog) -> None:
    info = catalog.resolve("gemini-2.5-flash").info
    assert (info.display_name, info.description) == ("Flash", "Fast")
    assert "streamGenerateContent" in info.methods
    assert info.created > 0
    assert catalog.resolve("painter").info.display_name == "painter"
    assert "embedContent" in catalog.resolve("embedder").info.methods


def test_categories_hold_all_names(catalog: Catalog) -> None:
    assert catalog.categories() == {
        "text": ["gemini-2.5-flash", "gemini-3.0-pro"],
        "image": ["painter"],
        "embedding": ["embedder"],
    }


def test_loading_again_takes_over_what_changed(catalog: Catalog) -> None:
    Route.objects.filter(name="painter").delete()
    add("newer")
    catalog.load("17")
    assert catalog.resolve("newer")
    with pytest.raises(ModelNotFound):
        catalog.resolve("painter")


def test_a_route_reads_as_its_name(catalog: Catalog) -> None:
    route = Route.objects.get(name="painter")
    assert str(route) == "painter"
    assert str(route.targets.get()) == "gemini_api: painter"


@pytest.mark.parametrize("what", ["catalog", "pool"])
@pytest.mark.django_db(transaction=True)
def test_a_slow_load_does_not_undo_a_later_one(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Once: at the start the feed's thread and the first load run side by side; the one
    # that read earlier may write later, and the change is lost until the next.
    loaded: Any = Catalog() if what == "catalog" else Pool(Clients())
    place = (module, "_plan") if what == "catalog" else (account_rows, "config_of")
    change(what, 1)
    reading, go_on = threading.Event(), threading.Event()
    real = getattr(*place)

    def slow(row: Any) -> Any:
        if not reading.is_set():
            reading.set()
            go_on.wait(2)
        return real(row)

    monkeypatch.setattr(*place, slow)
    first = in_thread(loaded.load)
    reading.wait(2)
    change(what, 2)
    second = in_thread(loaded.load)
    second.join(0.2)
    go_on.set()
    first.join(2)
    second.join(2)
    count = len(loaded.models()) if what == "catalog" else loaded.size()
    assert count == 2


def change(what: str, number: int) -> None:
    if what == "catalog":
        if number == 1:
            Route.objects.all().delete()
        add(f"m-{number}")
    else:
        Account.add(kind="gemini_api", secret=f"key-{number}" + "x" * 30)


def in_thread(work: Any) -> threading.Thread:
    from django.db import connections

    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("kind", "flags", "emulates"),
    [
        ("gemini_web", {}, set()),
        ("gemini_web", {"emulate_tools": True}, {"tools"}),
        ("gemini_web", {"emulate_json_schema": True}, {"json_schema"}),
        (
            "gemini_web",
            {"emulate_tools": True, "emulate_json_schema": True},
            {"tools", "json_schema"},
        ),
        # A kind that cannot imitate does not, whatever its row says.
        ("gemini_api", {"emulate_tools": True}, set()),
        ("xai", {"emulate_json_schema": True}, set()),
        ("gone", {"emulate_tools": True}, set()),
    ],
)
def test_a_target_imitates_what_its_row_wants_and_its_kind_can(
    db: None, kind: str, flags: dict[str, bool], emulates: set[str]
) -> None:
    route = Route.objects.create(name="flagged")
    route.targets.create(kind=kind, upstream_model="m", **flags)
    found = Catalog()
    found.load()
    assert found.resolve("flagged").targets[0].emulates == emulates
    assert found.has_target(kind, "m")
    assert not found.has_target(kind, "other")
