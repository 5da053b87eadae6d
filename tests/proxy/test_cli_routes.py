"""Current models reach installations that have Gemini CLI accounts already."""

import importlib
from typing import Any

import pytest
from django.apps import apps
from django.db import connection

from accounts.models import Account
from proxy.cli_routes import MODELS, OWN, SEARCHING, open_routes
from proxy.models import Route, Target

pytestmark = pytest.mark.django_db
MIGRATION = importlib.import_module("proxy.migrations.0010_cli_routes")
LOGIN = '{"refresh_token": "1//x"}'


class Editor:
    connection = connection


def served() -> dict[str, str]:
    rows = Target.objects.filter(kind="code_assist")
    return dict(rows.values_list("route__name", "upstream_model"))


def migrate(step: Any) -> None:
    step(apps, Editor)


def test_what_the_backend_has_is_served_where_there_is_an_account() -> None:
    Account.add(kind="code_assist", secret=LOGIN)
    migrate(MIGRATION.add)
    assert served() == MIGRATION.MODELS
    assert set(Target.objects.filter(kind="code_assist").values_list("position")) == {
        (20,)
    }
    migrate(MIGRATION.add)
    assert len(served()) == Target.objects.filter(kind="code_assist").count()


def test_without_an_account_nothing_changes() -> None:
    before = Route.objects.count()
    migrate(MIGRATION.add)
    assert served() == {}
    assert Route.objects.count() == before


def test_the_migration_and_the_first_account_agree() -> None:
    Account.add(kind="code_assist", secret=LOGIN)
    migrate(MIGRATION.add)
    migrated = served()
    open_routes()
    opened = served()
    assert migrated.items() <= opened.items()
    aliases = {f"{name}-search": f"{MODELS[name]}-search" for name in SEARCHING}
    assert opened == MODELS | aliases
    assert Target.objects.filter(kind="code_assist").count() == len(opened)
    for name, words in OWN.items():
        assert Route.objects.get(name=name).display_name == words["display_name"]


def test_it_can_be_taken_back_and_leaves_what_others_serve() -> None:
    Account.add(kind="code_assist", secret=LOGIN)
    migrate(MIGRATION.add)
    mine = Route.objects.get(name="gemini-3.1-flash-lite")
    mine.targets.create(kind="gemini_api", upstream_model="gemini-3.1-flash-lite")
    migrate(MIGRATION.withdraw)
    assert served() == {}
    assert Route.objects.filter(name="gemini-3.5-flash").exists()
    assert Route.objects.filter(pk=mine.pk).exists()
    assert not Route.objects.filter(name="gemini-3.5-flash-search").exists()


def test_a_route_that_its_operator_made_keeps_its_words() -> None:
    Account.add(kind="code_assist", secret=LOGIN)
    Route.objects.create(name="gemini-3.1-flash-lite", display_name="Mine")
    migrate(MIGRATION.add)
    open_routes()
    assert Route.objects.get(name="gemini-3.1-flash-lite").display_name == "Mine"
