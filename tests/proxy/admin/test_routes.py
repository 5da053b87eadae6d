"""Routes in the admin."""

from decimal import Decimal
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


@pytest.mark.parametrize(
    ("field", "words"),
    [("emulate_tools", "Tools"), ("emulate_json_schema", "JSON schemas")],
)
def test_only_kinds_that_can_imitate_may_be_told_to(
    admin: Client, field: str, words: str
) -> None:
    values = form(("0", "first")) | {f"targets-0-{field}": "on"}
    answer = admin.post(f"{LIST}add/", values)
    told = f"{words} can be imitated only for: Gemini web cookies."
    assert told in answer.text
    assert not Route.objects.exists()
    answer = admin.post(f"{LIST}add/", values | {"targets-0-kind": "gemini_web"})
    assert answer.status_code == 302
    assert getattr(Target.objects.get(), field) is True
    assert f"first (imitated: {words})" in admin.get(LIST).text


def test_a_form_without_a_known_kind_says_only_that(admin: Client) -> None:
    values = form(("0", "first"))
    values |= {"targets-0-kind": "gone", "targets-0-emulate_tools": "on"}
    text = admin.post(f"{LIST}add/", values).text
    assert "Select a valid choice" in text
    assert "imitated only" not in text


def test_a_route_says_what_happens_to_its_pictures(admin: Client) -> None:
    fields = {
        "remove_mark": "false",
        "targets-0-image_size": "4K",
        "targets-0-upscale": "on",
        "targets-0-image_price": "0.24",
    }
    answer = admin.post(f"{LIST}add/", form(("0", "painter"), **fields))
    assert answer.status_code == 302
    target = Target.objects.select_related("route").get()
    assert (target.image_size, target.upscale) == ("4K", True)
    assert target.image_price == Decimal("0.24")
    assert target.route.remove_mark is False
    page = admin.get(f"{LIST}{target.route.pk}/change/").text
    assert "ENABLE_WATERMARK_REMOVAL says" in page


def test_a_route_leaves_its_pictures_to_the_settings_unless_told(admin: Client) -> None:
    admin.post(f"{LIST}add/", form(("0", "painter")))
    target = Target.objects.select_related("route").get()
    assert (target.image_size, target.upscale) == ("", False)
    assert target.image_price is None
    assert target.route.remove_mark is None


@pytest.mark.parametrize("price", ["-0.01", "cheap", "0.0000001"])
def test_a_price_that_is_none_is_refused(admin: Client, price: str) -> None:
    fields = {"targets-0-image_price": price}
    answer = admin.post(f"{LIST}add/", form(("0", "painter"), **fields))
    assert answer.status_code == 200
    assert not Route.objects.exists()


def test_a_size_that_there_is_not_is_refused(admin: Client) -> None:
    fields = {"targets-0-image_size": "8K"}
    answer = admin.post(f"{LIST}add/", form(("0", "painter"), **fields))
    assert "8K is not one of the available choices" in answer.text
    assert not Route.objects.exists()
