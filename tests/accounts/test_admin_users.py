"""Users, groups and plans in the admin."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client

from accounts.models import Change, Plan, Token, User

USERS = "/admin/accounts/user/"
PLANS = "/admin/accounts/plan/"
NEW = "staple battery 77"


@pytest.fixture
def admin(client: Client, operator: Any) -> Client:
    client.force_login(operator)
    return client


@pytest.fixture
def staff(client: Client, bob: Any) -> Client:
    """Bob as staff who may change users."""
    bob.is_staff = True
    bob.save()
    wanted = ("view_user", "change_user", "add_user", "delete_user", "delete_token")
    bob.user_permissions.set(Permission.objects.filter(codename__in=wanted))
    client.force_login(bob)
    return client


def changed(user: User, **fields: Any) -> dict[str, Any]:
    return {
        "username": user.username,
        "email": user.email,
        "first_name": "",
        "last_name": "",
        "is_active": "on",
        **fields,
    }


def test_a_user_is_added_with_a_password(admin: Client) -> None:
    form = {"username": "carol", "password1": NEW, "password2": NEW}
    form |= {"email": "carol@example.org", "plan": Plan.objects.create(name="gold").pk}
    answer = admin.post(f"{USERS}add/", form)
    carol = User.objects.get(username="carol")
    assert answer.headers["Location"] == f"{USERS}{carol.pk}/change/"
    assert carol.check_password(NEW)
    assert not carol.is_staff
    assert (carol.email, carol.plan.name) == ("carol@example.org", "gold")


def test_the_list_shows_plan_tokens_and_role(admin: Client, alice: Any) -> None:
    alice.plan = Plan.objects.create(name="gold")
    alice.save()
    Token.issue(user=alice, name="a")
    Token.issue(user=alice, name="b")
    Token.issue(user=alice, name="c")[0].revoke()
    text = admin.get(USERS).text
    assert "gold" in text
    assert f'href="/admin/accounts/token/?user__id__exact={alice.pk}">2<' in text
    assert "Operator" in text
    assert (
        admin.get(f"/admin/accounts/token/?user__id__exact={alice.pk}").status_code
        == 200
    )


def test_an_inactive_user_is_marked(admin: Client, alice: Any) -> None:
    alice.is_active = False
    alice.save()
    assert "Inactive" in admin.get(f"{USERS}?is_active__exact=0").text


def test_an_operator_gives_powers(admin: Client, alice: Any) -> None:
    form = changed(alice, is_staff="on", is_superuser="on")
    admin.post(f"{USERS}{alice.pk}/change/", form)
    alice.refresh_from_db()
    assert (alice.is_staff, alice.is_superuser) == (True, True)


def test_staff_cannot_give_powers(staff: Client, alice: Any) -> None:
    form = changed(alice, is_staff="on", is_superuser="on", first_name="Al")
    assert staff.post(f"{USERS}{alice.pk}/change/", form).status_code == 302
    alice.refresh_from_db()
    assert alice.first_name == "Al"
    assert (alice.is_staff, alice.is_superuser) == (False, False)


def test_staff_cannot_take_an_operator_over(staff: Client, operator: Any) -> None:
    page = f"{USERS}{operator.pk}"
    form = {"password1": NEW, "password2": NEW, "usable_password": "true"}
    assert staff.post(f"{page}/password/", form).status_code == 403
    assert staff.post(f"{page}/change/", changed(operator)).status_code == 403
    assert staff.post(f"{page}/delete/", {"post": "yes"}).status_code == 403
    selected = {"_selected_action": [operator.pk], "post": "yes"}
    staff.post(USERS, {"action": "delete_selected", **selected})
    operator.refresh_from_db()
    assert operator.check_password("correct horse")


def test_a_password_is_never_shown(admin: Client, alice: Any) -> None:
    assert alice.password not in admin.get(f"{USERS}{alice.pk}/change/").text


@pytest.mark.parametrize("way", ["page", "action"])
def test_deleting_a_user_reaches_running_servers(
    admin: Client, alice: Any, way: str
) -> None:
    Token.issue(user=alice, name="a")
    Change.objects.all().delete()
    if way == "page":
        admin.post(f"{USERS}{alice.pk}/delete/", {"post": "yes"})
    else:
        selected = {"_selected_action": [alice.pk], "post": "yes"}
        admin.post(USERS, {"action": "delete_selected", **selected})
    assert not User.objects.filter(username="alice").exists()
    assert not Token.objects.exists()
    assert Change.objects.filter(topic="user").exists()


def test_the_list_of_users_has_no_query_for_each_row(
    admin: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(30):
        User.objects.create(username=f"user{number}")
    with django_assert_max_num_queries(8):
        admin.get(USERS)


def test_groups_are_kept_for_partial_operators(admin: Client) -> None:
    admin.post("/admin/auth/group/add/", {"name": "support"})
    assert "support" in admin.get("/admin/auth/group/").text


def plan_form(**fields: Any) -> dict[str, Any]:
    return {"name": "free", "description": "", "models": "", **fields}


def test_models_of_a_plan_are_given_line_by_line(admin: Client) -> None:
    admin.post(f"{PLANS}add/", plan_form(models="gemini-2.5-*\n\n gemini-3-flash \n"))
    plan = Plan.objects.get()
    assert plan.models == ["gemini-2.5-*", "gemini-3-flash"]
    text = admin.get(f"{PLANS}{plan.pk}/change/").text
    assert "gemini-2.5-*\ngemini-3-flash</textarea>" in text


def test_a_plan_without_models_allows_all(admin: Client) -> None:
    admin.post(f"{PLANS}add/", plan_form())
    assert Plan.objects.get().models == []
    assert ">all<" in admin.get(PLANS).text


def test_saving_a_plan_unchanged_keeps_its_models(admin: Client) -> None:
    plan = Plan.objects.create(name="free", models=["a", "b"])
    form = plan_form(models="a\nb", requests_per_minute="5")
    admin.post(f"{PLANS}{plan.pk}/change/", form)
    plan.refresh_from_db()
    assert (plan.models, plan.requests_per_minute) == (["a", "b"], 5)


def test_there_is_one_default_plan(admin: Client) -> None:
    first = Plan.objects.create(name="first", is_default=True)
    admin.post(f"{PLANS}add/", plan_form(default="on"))
    first.refresh_from_db()
    assert not first.is_default
    assert Plan.objects.get(name="free").is_default


def test_plans_count_people_and_tokens_apart(
    admin: Client, alice: Any, bob: Any
) -> None:
    plan = Plan.objects.create(name="free")
    User.objects.update(plan=plan)
    for name in "abcde":
        Token.issue(user=alice, name=name, plan=plan)
    text = admin.get(PLANS).text
    row = text[text.index("field-people") :]
    assert row.index(">3<") < row.index("field-token_count") < row.index(">5<")


def test_the_default_plan_steps_back_when_unticked(admin: Client) -> None:
    plan = Plan.objects.create(name="free", is_default=True)
    page = f"{PLANS}{plan.pk}/change/"
    assert re.search(r'<input[^>]*name="default"[^>]*checked', admin.get(page).text)
    admin.post(page, plan_form())
    plan.refresh_from_db()
    assert not plan.is_default


def test_staff_cannot_give_a_group_of_theirs_more(staff: Client, bob: User) -> None:
    may = Permission.objects.filter(content_type__app_label="auth")
    bob.user_permissions.add(*may)
    group = Group.objects.create(name="helpers")
    bob.groups.add(group)
    everything = [p.pk for p in Permission.objects.all()]
    form = {"name": "helpers", "permissions": everything}
    assert staff.post(f"/admin/auth/group/{group.pk}/change/", form).status_code == 403
    assert staff.post("/admin/auth/group/add/", form).status_code == 403
    assert not group.permissions.exists()
