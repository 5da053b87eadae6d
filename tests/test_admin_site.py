"""The admin site: it is ours, and its menu shows what a person may see."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.test import Client, RequestFactory

from gemproxy import admin_site

ROOT = Path(settings.BASE_DIR)


def menu(user: Any) -> list[str]:
    request = RequestFactory().get("/admin/")
    request.user = user
    return [
        i["title"] for group in admin_site.navigation(request) for i in group["items"]
    ]


def test_the_theme_has_not_put_its_own_site_in_place_of_ours() -> None:
    assert isinstance(admin.site, admin_site.Site)
    assert admin.site.index_title == "Overview"


def test_every_model_of_ours_with_a_list_is_in_the_menu(operator: Any) -> None:
    request = RequestFactory().get("/admin/")
    request.user = operator
    links = {
        str(item["link"])
        for group in admin_site.navigation(request)
        for item in group["items"]
    }
    for model in admin.site._registry:
        if model._meta.app_label in ("accounts", "imaging", "proxy"):
            assert f"/admin/{model._meta.app_label}/{model._meta.model_name}/" in links


def test_the_menu_names_only_what_a_person_may_see(bob: Any) -> None:
    bob.is_staff = True
    bob.save()
    assert menu(bob) == ["Overview"]
    wanted = Permission.objects.filter(codename__in=("view_token", "view_failure"))
    bob.user_permissions.set(wanted)
    assert menu(type(bob).objects.get(pk=bob.pk)) == [
        "Overview",
        "Tokens",
        "Failed jobs",
    ]


def test_an_operator_sees_the_whole_menu(operator: Any) -> None:
    shown = menu(operator)
    assert shown == [
        entry[0] for entries in admin_site.MENU.values() for entry in entries
    ]


def test_only_the_kit_imports_the_theme() -> None:
    users = [
        path.relative_to(ROOT).as_posix()
        for app in ("gemproxy", "accounts", "proxy", "imaging")
        for path in (ROOT / app).rglob("*.py")
        if re.search(r"^\s*(from|import) unfold", path.read_text(), re.MULTILINE)
    ]
    assert users == ["gemproxy/adminkit.py"]


def test_job_pages_of_django_q_are_replaced_by_themed_ones() -> None:
    for model in apps.get_app_config("django_q").get_models():
        if admin.site.is_registered(model):
            module = type(admin.site._registry[model]).__module__
            assert module == "proxy.admin.jobs"


@pytest.mark.parametrize("file", ["admin.css", "portal.css", "portal.js", "mark.svg"])
def test_our_static_files_are_served(client: Client, db: None, file: str) -> None:
    answer = client.get(f"/static/gemproxy/{file}")
    assert answer.status_code == 200
    assert b"".join(answer.streaming_content)


def test_no_template_carries_scripts_or_styles_inline() -> None:
    for path in (ROOT / "templates").rglob("*.html"):
        text = path.read_text()
        assert not re.search(
            r"<style|<script(?![^>]* src=)| style=| on[a-z]+=", text
        ), path


def test_every_page_with_a_form_carries_its_token() -> None:
    for path in (ROOT / "templates").rglob("*.html"):
        for form in re.findall(r"<form.*?</form>", path.read_text(), re.DOTALL):
            if 'method="post"' in form:
                assert "{% csrf_token %}" in form, path
