"""Routes in the admin."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import Change
from proxy.models import Route, Target

LIST = "/admin/proxy/route/"


@pytest.fixture
def admin(client: Client, operator: Any) -> Client:
    Route.objects.all().delete()
    client.force_login(operator)
    return client


def form(*targets: tuple[str, str], **fields: str) -> dict[str, str]:
    values = {
        "name": "my-model", "enabled": "on", "category": "text",
        "input_token_limit": "1000", "output_token_limit": "2000",
        "targets-TOTAL_FORMS": str(len(targets)), "targets-INITIAL_FORMS": "0",
    }  # fmt: skip
    for number, (position, model) in enumerate(targets):
        values[f"targets-{number}-position"] = position
        values[f"targets-{number}-kind"] = "gemini_api"
        values[f"targets-{number}-upstream_model"] = model
    return {**values, **fields}


def test_a_route_is_made_with_its_targets(admin: Client) -> None:
    answer = admin.post(f"{LIST}add/", form(("1", "second"), ("0", "first")))
    assert answer.status_code == 302
    route = Route.objects.get()
    assert [target.upstream_model for target in route.targets.all()] == [
        "first",
        "second",
    ]
    text = admin.get(LIST).text
    assert text.index("first") < text.index("second")
    assert "1k / 2k" in text


def test_a_name_is_given_once(admin: Client) -> None:
    Route.objects.create(name="my-model")
    answer = admin.post(f"{LIST}add/", form(("0", "first")))
    assert "already exists" in answer.text
    assert Route.objects.count() == 1


def test_a_route_without_target_is_marked(admin: Client) -> None:
    Route.objects.create(name="hollow")
    assert "No target" in admin.get(LIST).text


@pytest.mark.parametrize(
    ("action", "before", "message"),
    [("disable", True, "Disabled 1 route."), ("enable", False, "Enabled 1 route.")],
)
def test_switching_routes_counts_what_changed_and_is_noticed(
    admin: Client, action: str, before: bool, message: str
) -> None:
    changed = Route.objects.create(name="a", enabled=before)
    same = Route.objects.create(name="b", enabled=not before)
    Change.objects.all().delete()
    selected = {"action": action, "_selected_action": [changed.pk, same.pk]}
    answer = admin.post(LIST, selected, follow=True)
    assert message in answer.text
    assert {route.enabled for route in Route.objects.all()} == {not before}
    assert Change.objects.filter(topic="route").exists()


def test_routes_are_found_by_their_targets(admin: Client) -> None:
    for name in ("a-route", "b-route"):
        route = Route.objects.create(name=name)
        Target.objects.create(route=route, upstream_model=f"model-of-{name}")
    text = admin.get(f"{LIST}?q=model-of-a").text
    assert "a-route" in text
    assert "b-route" not in text


def test_the_list_has_no_query_for_each_row(
    admin: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(30):
        route = Route.objects.create(name=f"r{number}")
        Target.objects.create(route=route, upstream_model="m")
    with django_assert_max_num_queries(7):
        admin.get(LIST)
