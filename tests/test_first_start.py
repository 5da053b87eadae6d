"""What every start puts in order, and that it may be repeated."""

from pathlib import Path
from typing import Any

import pytest
from django_q.models import Schedule

from accounts.authentication import find_caller
from accounts.models import Account, Token, User
from proxy import first_start, schedules
from proxy.first_start import CannotStart, address_of, put_in_order

ADDRESS = "http://127.0.0.1:8100"
TOKEN = "f3a9c1d47e5b8026" * 2
OTHER_TOKEN = "0b8d5e26c7a914f3" * 2
KEYS = [f"AIzaSy{letter * 33}" for letter in "ab"]
pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture(autouse=True)
def bare_settings(settings: Any, tmp_path: Path) -> None:
    settings.VAR_DIR = tmp_path
    settings.ADMIN_USER = settings.ADMIN_PASSWORD = settings.ADMIN_AUTH_TOKEN = ""
    settings.GEMINI_API_KEYS = settings.XAI_API_KEYS = []
    settings.PUBLIC_URL = ""


def start() -> str:
    said: list[str] = []
    put_in_order(ADDRESS, said.append)
    return "\n".join(said)


def test_without_an_operator_a_fresh_link_is_printed_at_each_start() -> None:
    first, second = start(), start()
    assert f"{ADDRESS}/setup/" in first
    assert first != second


def test_with_an_operator_nothing_is_said(operator: User) -> None:
    assert start() == ""


def test_declared_schedules_are_stored() -> None:
    start()
    titles = {job.title for job in schedules.JOBS}
    assert set(Schedule.objects.values_list("name", flat=True)) == titles


def test_keys_of_the_environment_are_added_once(settings: Any, operator: User) -> None:
    settings.GEMINI_API_KEYS = KEYS
    assert "Added 2 accounts" in start()
    assert start() == ""
    assert Account.objects.count() == 2


def test_keys_of_each_kind_are_added_once(settings: Any, operator: User) -> None:
    settings.GEMINI_API_KEYS = KEYS[:1]
    settings.XAI_API_KEYS = ["xai-" + "k" * 80, KEYS[1]]
    said = start()
    assert "Added 1 accounts from XAI_API_KEYS" in said
    assert "XAI_API_KEYS, entry 2" in said
    assert "begins with 'xai-'" in said
    assert "Added" not in start()
    kinds = Account.objects.order_by("kind").values_list("kind", flat=True)
    assert list(kinds) == ["gemini_api", "xai"]


def test_a_malformed_key_is_shortened_and_stops_nothing(
    settings: Any, operator: User
) -> None:
    settings.GEMINI_API_KEYS = ["not-a-key-of-google!!", KEYS[0]]
    said = start()
    assert "entry 1" in said
    assert "not-a-key-of-google" not in said
    assert Account.objects.count() == 1


def test_the_operator_token_opens_the_door_as_operator(
    settings: Any, operator: User
) -> None:
    settings.ADMIN_AUTH_TOKEN = TOKEN
    said = start()
    assert TOKEN not in said
    caller = find_caller(TOKEN).caller
    assert caller is not None
    assert (caller.username, caller.scope) == ("olga", "operator")


def test_the_operator_token_is_stored_once(settings: Any, operator: User) -> None:
    settings.ADMIN_AUTH_TOKEN = TOKEN
    start()
    assert start() == ""
    assert Token.objects.count() == 1


def test_a_changed_operator_token_revokes_the_former(
    settings: Any, operator: User
) -> None:
    settings.ADMIN_AUTH_TOKEN = TOKEN
    start()
    settings.ADMIN_AUTH_TOKEN = OTHER_TOKEN
    start()
    assert find_caller(TOKEN).caller is None
    assert find_caller(OTHER_TOKEN).caller is not None


def test_an_operator_token_taken_out_of_the_environment_is_revoked(
    settings: Any, operator: User
) -> None:
    settings.ADMIN_AUTH_TOKEN = TOKEN
    start()
    other = Token.issue(user=operator, name="mine", scope=Token.Scope.OPERATOR)[1]
    settings.ADMIN_AUTH_TOKEN = ""
    start()
    assert find_caller(TOKEN).caller is None
    assert find_caller(other).caller is not None, "tokens of people stay"


def test_a_revoked_operator_token_stays_revoked(settings: Any, operator: User) -> None:
    settings.ADMIN_AUTH_TOKEN = TOKEN
    start()
    Token.objects.get().revoke()
    start()
    assert find_caller(TOKEN).caller is None


@pytest.mark.parametrize(
    "text", ["changeme", "a" * 40, "your-secret-token-goes-here-1"]
)
def test_a_weak_operator_token_stops_the_start(
    settings: Any, operator: User, text: str
) -> None:
    settings.ADMIN_AUTH_TOKEN = text
    with pytest.raises(CannotStart, match="ADMIN_AUTH_TOKEN is refused"):
        start()
    assert not Token.objects.exists()


def test_the_operator_token_waits_for_the_first_operator(settings: Any) -> None:
    settings.ADMIN_AUTH_TOKEN = TOKEN
    assert "waits" in start()
    assert not Token.objects.exists()


def test_operator_and_token_may_come_in_one_start(settings: Any) -> None:
    settings.ADMIN_USER, settings.ADMIN_PASSWORD = "olga", "river-otter-42-lamp"
    settings.ADMIN_AUTH_TOKEN = TOKEN
    said = start()
    assert "/setup/" not in said
    assert "river-otter" not in said
    assert find_caller(TOKEN).caller is not None


def test_a_weak_password_stops_the_start_with_the_reason(settings: Any) -> None:
    settings.ADMIN_USER, settings.ADMIN_PASSWORD = "olga", "1234"
    with pytest.raises(CannotStart, match="too short"):
        start()


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:8100"),
        ("0.0.0.0", "http://127.0.0.1:8100"),
        ("::", "http://127.0.0.1:8100"),
        ("::1", "http://[::1]:8100"),
        ("gw.example.org", "http://gw.example.org:8100"),
    ],
)
def test_the_printed_address_can_be_opened(host: str, address: str) -> None:
    assert address_of(host, 8100) == address


def test_the_public_url_is_the_address_where_given(settings: Any) -> None:
    settings.PUBLIC_URL = "https://gw.example.org"
    assert first_start.address_of("0.0.0.0", 8100) == "https://gw.example.org"
