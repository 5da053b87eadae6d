"""The pages in a real browser: by keyboard, on a phone, in the dark."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache

from accounts.models import Account, Token, UsageRecord
from gemproxy.setup import close_setup, new_setup_link
from proxy.models import Route
from tests.accounts.rows import hour, record
from tests.browser.chromium import Page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]
CONTRAST = Path(__file__).with_name("contrast.js").read_text()
PHONE = (390, 844)
DESK = (1280, 900)
PORTAL = ["/tokens/", "/password/", "/tokens/{token}/revoke/", "/nowhere/"]
ADMIN = [
    "/admin/",
    "/admin/accounts/account/",
    "/admin/accounts/account/{account}/change/",
    "/admin/accounts/account/paste/",
    "/admin/accounts/usagerecord/",
    "/admin/accounts/usagerecord/{request}/change/",
    "/admin/accounts/usagerecord/{request}/explain/",
    "/admin/proxy/incident/",
    "/admin/accounts/token/",
    "/admin/proxy/route/",
    "/admin/proxy/route/{route}/explain/",
]
Enter = Callable[[Any], Page]


@pytest.fixture(autouse=True)
def _forget_tries() -> None:
    cache.clear()


def filled(person: Any) -> int:
    """Store one of everything that pages show; return a token of the person's."""
    token, _ = Token.issue(user=person, name="laptop")
    Token.issue(user=person, name="old")[0].revoke()
    for number, state in enumerate(("active", "needs_attention", "disabled", "new")):
        account = Account.add(kind="gemini_api", secret=f"AIzaSyD-{number}" + "0" * 30)
        account.move(state, cause="upstream_auth", advice="Replace the key.")
    route, _ = Route.objects.get_or_create(name="painter")
    route.targets.get_or_create(kind="gemini_api", upstream_model="painter")
    for outcome in ("ok", "fault", "cancelled"):
        record(user=person, token=token, outcome=outcome, cause="timeout")
        hour(token=token, outcome=outcome)
    return token.pk


def complaints(page: Page, width: int) -> list[str]:
    """Return what is wrong with the page in view."""
    found = list(page.problems)
    page.problems.clear()
    broad = page.js("document.documentElement.scrollWidth")
    if broad > width:
        found.append(f"scrolls sideways: {broad} > {width}")
    return found


def test_signing_in_needs_only_a_keyboard(
    page: Page, live_server: Any, alice: Any
) -> None:
    page.open(f"{live_server.url}/")
    assert page.js("document.activeElement.name") == "username"
    page.call("Input.insertText", text="alice")
    page.press("Tab")
    page.call("Input.insertText", text="correct horse")
    page.press("Enter", loads=True)
    assert page.js("location.pathname") == "/tokens/"
    assert page.js("document.querySelector('h1').innerText") == "API tokens"
    assert not page.problems


def test_what_has_the_focus_can_be_seen(
    enter: Enter, live_server: Any, alice: Any
) -> None:
    page = enter(alice)
    page.open(f"{live_server.url}/tokens/")
    page.press("Tab")
    assert page.js("document.activeElement.innerText") == "Skip to content"
    for _ in range(6):
        page.press("Tab")
        outline = page.js("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", page.js("document.activeElement.outerHTML")


def test_a_token_is_issued_and_copied(
    enter: Enter, live_server: Any, alice: Any
) -> None:
    page = enter(alice)
    page.call("Browser.grantPermissions", permissions=["clipboardReadWrite"])
    page.open(f"{live_server.url}/tokens/")
    page.fill("#id_name", "laptop")
    page.click("form.row button", loads=True)
    text = page.js("document.getElementById('token-text').innerText")
    assert text.startswith("gp-")
    page.click("[data-copy=token-text]")
    copied = (
        "new Promise(done => setTimeout(() => done("
        "document.querySelector('[data-copy=token-text]').innerText), 200))"
    )
    assert page.js(copied) == "Copied"
    assert page.js("navigator.clipboard.readText()") == text
    assert not page.problems


def test_a_token_is_copied_without_the_clipboard_of_safe_pages(
    enter: Enter, live_server: Any, alice: Any
) -> None:
    page = enter(alice)
    page.open(f"{live_server.url}/tokens/")
    page.fill("#id_name", "laptop")
    page.click("form.row button", loads=True)
    page.js("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    page.click("[data-copy=token-text]")
    token = page.js("document.getElementById('token-text').innerText")
    assert page.js("getSelection().toString()") == token


def test_a_revocation_is_confirmed_on_its_own_page(
    enter: Enter, live_server: Any, alice: Any
) -> None:
    token, _ = Token.issue(user=alice, name="laptop")
    page = enter(alice)
    page.open(f"{live_server.url}/tokens/")
    page.click("td a.button", loads=True)
    token.refresh_from_db()
    assert token.state == "active"
    page.click("button.danger", loads=True)
    token.refresh_from_db()
    assert token.state == "revoked"
    assert "is revoked" in page.js("document.querySelector('main').innerText")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_portal_pages_fit_and_can_be_read(
    enter: Enter, live_server: Any, alice: Any, size: tuple[int, int], dark: bool
) -> None:
    token = filled(alice)
    page = enter(alice)
    page.look(*size, dark=dark)
    for path in PORTAL:
        page.open(live_server.url + path.format(token=token))
        wrong = [c for c in complaints(page, size[0]) if "/nowhere/" not in c]
        assert wrong + page.js(CONTRAST) == [], path


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_pages_for_strangers_fit_and_can_be_read(
    page: Page, live_server: Any, db: None, dark: bool
) -> None:
    setup = f"/setup/{new_setup_link()}/"
    page.look(*PHONE, dark=dark)
    for path in ("/sign-in/", setup):
        page.open(live_server.url + path)
        assert complaints(page, PHONE[0]) + page.js(CONTRAST) == [], path
    close_setup()


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_admin_pages_run_without_complaint(
    enter: Enter, live_server: Any, operator: Any, size: tuple[int, int]
) -> None:
    filled(operator)
    page = enter(operator)
    page.look(*size)
    rows = {
        "account": Account.objects.first().pk,
        "request": UsageRecord.objects.first().pk,
        "route": Route.objects.first().pk,
    }
    for path in ADMIN:
        page.open(live_server.url + path.format(**rows))
        assert complaints(page, size[0]) == [], path


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_our_parts_of_the_admin_can_be_read(
    enter: Enter, live_server: Any, operator: Any, dark: bool
) -> None:
    filled(operator)
    page = enter(operator)
    page.look(*DESK, dark=dark)
    ours = CONTRAST.replace("document.body,", "document.querySelector('.gp-home'),")
    page.open(f"{live_server.url}/admin/")
    assert page.js("document.documentElement.classList.contains('dark')") is dark
    assert page.js(ours) == []


def test_a_list_action_acts_on_the_ticked_rows(
    enter: Enter, live_server: Any, operator: Any
) -> None:
    filled(operator)
    page = enter(operator)
    page.open(f"{live_server.url}/admin/accounts/account/")
    page.click("tbody input.action-select")
    ticked = page.js(
        "document.querySelector('tbody input.action-select:checked').value"
    )
    page.js(
        "(form => { form.querySelector('select[name=action]').value = 'disable';"
        " form.submit(); })(document.getElementById('changelist-form'))"
    )
    page.wait_for_load()
    assert Account.objects.get(pk=ticked).state_cause == "disabled by olga"
    assert "Disabled 1 account." in page.js("document.body.innerText")
