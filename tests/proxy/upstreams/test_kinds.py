"""The table of kinds and the checks of pasted keys."""

import sys

import pytest

from proxy.upstreams.gemini_api import GeminiAPI
from proxy.upstreams.kinds import KINDS, kind_named

GOOD = "AIzaSyA-0123456789_abcdefghijklmnopqrstu"


def test_the_gemini_api_is_known():
    kind = kind_named("gemini_api")
    assert kind.adapter_class() is GeminiAPI
    assert kind.adapter_class().kind == kind.name
    assert kind.default_base_url.startswith("https://")


def test_every_adapter_can_be_imported_and_knows_its_name():
    assert {name: kind.adapter_class().kind for name, kind in KINDS.items()} == {
        name: name for name in KINDS
    }


def test_the_table_itself_loads_no_adapter(monkeypatch):
    monkeypatch.delitem(sys.modules, "proxy.upstreams.gemini_api")
    monkeypatch.delitem(sys.modules, "proxy.upstreams.kinds")
    __import__("proxy.upstreams.kinds")
    assert "proxy.upstreams.gemini_api" not in sys.modules


def test_an_unknown_kind_is_named_with_the_known_ones():
    with pytest.raises(LookupError, match=r"gemini_wep.*gemini_api"):
        kind_named("gemini_wep")


@pytest.mark.parametrize(
    "text",
    [GOOD, f"  {GOOD}\n", f'"{GOOD}"', f"' {GOOD} '", "AQ.Ab8RN6_-xyz0123456789abc"],
    ids=["bare", "blanks", "quotes", "both", "newer"],
)
def test_keys_are_taken_and_cleaned(text):
    key = kind_named("gemini_api").validate_secret(text)
    assert key == text.strip().strip("'\"").strip()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("  ''", "empty"),
        ("AIzaShort", "20 to 200"),
        ("A" * 201, "20 to 200"),
        (f"{GOOD}\n{GOOD}", "one key"),
        (f"key={GOOD}", "only letters"),
        (f"{GOOD}é", "only letters"),
        (f"{GOOD};rm", "only letters"),
    ],
)
def test_what_is_no_key_is_refused_with_the_reason(text, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        kind_named("gemini_api").validate_secret(text)
    assert GOOD not in str(caught.value)


def test_hints_show_both_ends_only():
    kind = kind_named("gemini_api")
    assert kind.secret_hint("AIzaSyA0123456789x1y2") == "AIza…x1y2"
    assert kind.secret_hint("short-secret") == "…"


def test_a_key_of_xais_begins_as_they_do():
    kind = kind_named("xai")
    key = "xai-" + "k" * 80
    assert kind.validate_secret(f' "{key}"\n') == key
    for text, reason in ((GOOD, "begins with"), ("xai-k", "20 to 200"), ("", "empty")):
        with pytest.raises(ValueError, match=reason):
            kind.validate_secret(text)


def test_each_address_setting_exists():
    from django.conf import settings

    names = {kind.base_url_setting for kind in KINDS.values()} - {""}
    assert {"GEMINI_BASE_URL", "XAI_BASE_URL"} <= names
    assert all(isinstance(getattr(settings, name), str) for name in names)


def test_every_kind_can_be_stored():
    from accounts.models import Account

    assert set(KINDS) <= set(Account.Kind.values)


@pytest.mark.parametrize("name", sorted(KINDS))
def test_no_kind_imitates_what_it_can(name):
    kind = KINDS[name]
    assert not kind.imitates() & kind.adapter_class().capabilities
    wanted = {"tools", "json_schema"} if name == "gemini_web" else set()
    assert kind.imitates() == wanted
