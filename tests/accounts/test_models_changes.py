"""Whatever running processes must notice leaves a row in the change feed."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from accounts.models import Account, Change, Plan, Token, User
from proxy.models import Route

SECRET = "AIzaSyA1234567890abcdefghijklmnopqrstuv"


def changes() -> set[tuple[str, str]]:
    return set(Change.objects.values_list("topic", "key"))


@pytest.fixture
def account(db: None) -> Account:
    account = Account.add(kind="gemini_api", secret=SECRET)
    assert account is not None
    return account


@pytest.fixture
def token(alice: User) -> Token:
    return Token.issue(user=alice, name="t")[0]


@pytest.fixture
def plan(db: None) -> Plan:
    return Plan.objects.create(name="basic")


@pytest.fixture
def route(db: None) -> Route:
    return Route.objects.create(name="m-1")


ROWS = ["account", "token", "plan", "route"]
FIELD = {"account": "label", "user": "first_name"}


@pytest.fixture(params=[*ROWS, "alice"])
def row(request: Any) -> Any:
    found = request.getfixturevalue(request.param)
    Change.objects.all().delete()
    return found


def renamed(row: Any) -> dict[str, str]:
    return {FIELD.get(row.topic, "name"): "other"}


def test_saving_a_row_is_noted_with_its_key(row: Any) -> None:
    row.save()
    assert changes() == {(row.topic, str(row.pk))}


def test_deleting_a_row_is_noted_with_its_key(row: Any) -> None:
    key = str(row.pk)
    row.delete()
    assert (row.topic, key) in changes()


def test_a_bulk_update_is_noted(row: Any) -> None:
    assert type(row).objects.filter(pk=row.pk).update(**renamed(row)) == 1
    assert (row.topic, "") in changes()


def test_a_bulk_update_of_nothing_is_not_noted(row: Any) -> None:
    assert type(row).objects.filter(pk=-1).update(**renamed(row)) == 0
    assert changes() == set()


def test_a_bulk_deletion_is_noted(row: Any) -> None:
    type(row).objects.filter(pk=row.pk).delete()
    assert (row.topic, "") in changes()


def test_bulk_updates_of_rows_are_noted(row: Any) -> None:
    type(row).objects.bulk_update([row], [*renamed(row)])
    assert (row.topic, "") in changes()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Plan.objects.bulk_create([Plan(name="a"), Plan(name="b")]),
        lambda: Plan.objects.get_or_create(name="a"),
        lambda: Plan.objects.update_or_create(name="a", defaults={"concurrency": 1}),
    ],
    ids=["bulk", "get or create", "update or create"],
)
def test_every_way_to_create_is_noted(db: None, make: Callable[[], Any]) -> None:
    make()
    assert {topic for topic, _ in changes()} == {"plan"}


def test_changing_the_targets_of_a_route_changes_the_route(route: Route) -> None:
    Change.objects.all().delete()
    target = route.targets.create(upstream_model="m-2")
    assert {topic for topic, _ in changes()} == {"route"}
    Change.objects.all().delete()
    target.delete()
    assert {topic for topic, _ in changes()} == {"route"}


@pytest.mark.django_db(transaction=True)
def test_a_change_and_its_note_are_one_transaction() -> None:
    def fail() -> None:
        with transaction.atomic():
            Plan.objects.create(name="never")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert changes() == set()
    assert not Plan.objects.exists()


def test_deleting_a_person_is_noted_for_the_tokens_that_go_too(alice: User) -> None:
    Token.issue(user=alice, name="t")
    Change.objects.all().delete()
    alice.delete()
    assert Token.objects.count() == 0
    assert {topic for topic, _ in changes()} & {"user", "token"}


def test_a_change_reads_as_topic_and_key() -> None:
    assert str(Change(topic="plan", key="7")) == "plan 7"
