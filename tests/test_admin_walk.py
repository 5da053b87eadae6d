"""A walk through every page of the admin: who gets in, what leaks, what GET changes."""

import datetime
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.core import serializers
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django_q.models import Schedule, Task

from accounts.models import Account, Plan, Token
from gemproxy.lib import clock
from proxy.models import Route, Target
from tests.accounts.rows import hour, record

pytestmark = pytest.mark.django_db(databases="__all__")
KEY = "AIzaSyD-walked-key-00000000000000000001"
PROXY_PASSWORD = "hush-hush-proxy"
MOST_QUERIES = 20
# Pages that need a parameter of their own, or end the session.
APART = ("admin:logout", "admin:view_on_site", "admin:autocomplete")
OPEN = ("admin:login",)


def names(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, bool]]:
    """Yield each named admin page and whether it is about one row."""
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            yield from names(pattern, prefix)
        elif isinstance(pattern, URLPattern) and pattern.name:
            yield f"admin:{pattern.name}", "<" in str(pattern.pattern)


def admin_names() -> list[tuple[str, bool]]:
    (root,) = [r for r in get_resolver().url_patterns if str(r.pattern) == "admin/"]
    return [n for n in names(root) if n[0] not in APART]


@pytest.fixture
def world(alice: Any, bob: Any) -> dict[str, Any]:
    """One row of everything; the values are secrets that no page may show."""
    Plan.objects.create(name="free")
    token, text = Token.issue(user=alice, name="laptop")
    account = Account.add(
        kind="gemini_api",
        secret=KEY,
        proxy_url=f"http://u:{PROXY_PASSWORD}@10.0.0.1:3128",
    )
    account.move("needs_attention", cause="upstream_auth", advice="Replace it.")
    route = Route.objects.create(name="walked")
    Target.objects.create(route=route, upstream_model="m")
    record(user=alice, token=token, account=account, outcome="fault", cause="timeout")
    hour(account=account, token=token)
    now = clock.now()
    for name, success in (("good", True), ("bad", False)):
        Task.objects.create(
            id=name.ljust(32, "0"), name=name, func="math.hypot", success=success,
            started=now - datetime.timedelta(seconds=1), stopped=now,
        )  # fmt: skip
    Schedule.objects.create(name="s", func="math.hypot", next_run=now)
    stored = Account.objects.get()
    return {
        "key": KEY,
        "proxy": PROXY_PASSWORD,
        "token": text,
        "digest": token.digest,
        "sealed key": stored.secret.token,
        "sealed proxy": stored.proxy_url.token,
        "fingerprint": stored.fingerprint,
        "password": alice.password,
    }


def address(name: str, about_one: bool) -> str | None:
    """Return a page's address; for a page about a row, that of an existing row."""
    if not about_one:
        return _reverse(name)
    for model in admin.site._registry:
        prefix = f"admin:{model._meta.app_label}_{model._meta.model_name}_"
        if name.startswith(prefix):
            row = model._default_manager.first()
            return _reverse(name, row.pk) if row else None
    return None


def _reverse(name: str, *args: Any) -> str:
    from django.urls import NoReverseMatch, reverse

    try:
        return reverse(name, args=args)
    except NoReverseMatch:
        return reverse(name, args=["accounts"])


def addresses(*, without: tuple[str, ...] = ()) -> list[str]:
    found = [address(*name) for name in admin_names() if name[0] not in without]
    return sorted({url for url in found if url})


def everything() -> str:
    """Return all rows of our own as text."""
    labels = ("accounts", "proxy", "django_q", "auth")
    models = [m for label in labels for m in apps.get_app_config(label).get_models()]
    return "\n".join(
        serializers.serialize("json", m._default_manager.all()) for m in models
    )


def test_the_walk_meets_every_model_and_our_own_pages(
    world: dict[str, Any], operator: Any
) -> None:
    found = addresses()
    assert len(found) > 45
    assert "/admin/accounts/account/paste/" in found
    for model in admin.site._registry:
        part = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        assert part in found


def test_strangers_are_led_to_sign_in(client: Client, world: dict[str, Any]) -> None:
    for url in addresses(without=OPEN):
        answer = client.get(url)
        assert answer.status_code == 302, url
        assert "/login/" in answer.headers["Location"], url


def test_users_who_are_not_staff_get_nothing(
    client: Client, world: dict[str, Any], alice: Any
) -> None:
    client.force_login(alice)
    for url in addresses(without=OPEN):
        answer = client.get(url)
        assert answer.status_code == 302, url
        assert "/login/" in answer.headers["Location"], url


def test_operators_see_every_page_and_no_secret_is_on_any(
    client: Client,
    world: dict[str, Any],
    operator: Any,
    django_assert_max_num_queries: Any,
) -> None:
    client.force_login(operator)
    for url in addresses():
        with django_assert_max_num_queries(MOST_QUERIES, info=url):
            answer = client.get(url, follow=True)
        assert answer.status_code in (200, 403), url
        if answer.status_code == 403:
            assert url.endswith(("/add/", "/delete/")), url
        leaked = [name for name, secret in world.items() if secret in answer.text]
        assert not leaked, url


def test_reading_any_page_changes_nothing(
    client: Client, world: dict[str, Any], operator: Any
) -> None:
    client.force_login(operator)
    before = everything()
    for url in addresses():
        client.get(url)
        client.get(url, {"action": "delete_selected", "_selected_action": "1"})
    assert everything() == before


def test_actions_need_a_form_token(world: dict[str, Any], operator: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(operator)
    before = everything()
    for model, model_admin in admin.site._registry.items():
        url = _reverse(
            f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
        )
        keys = [row.pk for row in model._default_manager.all()]
        for action in model_admin.actions or ():
            name = action if isinstance(action, str) else action.__name__
            form = {"action": name, "_selected_action": keys, "confirmed": "yes"}
            assert client.post(url, form).status_code == 403, (url, name)
    assert everything() == before


def test_every_state_change_is_a_list_action() -> None:
    for model_admin in admin.site._registry.values():
        for kind in ("actions_row", "actions_detail", "actions_submit_line"):
            assert not getattr(model_admin, kind), model_admin
    pages = [m.actions_list for m in admin.site._registry.values() if m.actions_list]
    assert pages == [("paste", "sign_in")]


def test_the_network_guard_covers_the_admin(
    client: Client, operator: Any, settings: Any
) -> None:
    settings.ADMIN_ALLOWED_IPS = ["10.0.0.0/8"]
    client.force_login(operator)
    assert client.get("/admin/").status_code == 403
    assert client.get("/admin/login/").status_code == 403
    assert client.get("/admin/", REMOTE_ADDR="10.1.2.3").status_code == 200
