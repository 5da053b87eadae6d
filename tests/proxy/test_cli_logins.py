"""Gemini CLI logins into the pool: by paste, file, command and program."""

import io
import json
import zipfile
from dataclasses import replace
from typing import Any

import pytest
from django.core.management import call_command

from accounts.credentials.cli_json import CliCredential, loaded
from accounts.models import Account
from gemproxy.lib.secrets import Sealed
from proxy.cli_logins import import_logins, store_login
from proxy.cli_routes import MODELS, SEARCHING
from proxy.importing import import_data
from proxy.imports import Where
from proxy.models import Route, Target
from proxy.sandbox.logins import refresh_token, sandbox_login

pytestmark = pytest.mark.django_db
ANN = CliCredential(
    refresh_token="1//0gAnnsRefreshToken",
    client_id="c",
    client_secret="s",
    email="ann@example.org",
)


def many(*numbers: int) -> str:
    return json.dumps([sandbox_login("ok", number) for number in numbers])


def stored(account: Account) -> CliCredential:
    account.refresh_from_db()
    return loaded(account.secret.reveal())


def test_each_login_becomes_an_account_that_holds_it_encrypted() -> None:
    result = import_logins(many(1, 2))
    assert [stored(a).refresh_token for a in result.added] == [
        refresh_token(n=1),
        refresh_token(n=2),
    ]
    for account in result.added:
        assert refresh_token() not in account.secret.token
        assert refresh_token() not in account.secret_hint
        assert len(account.secret_hint) <= 24


def test_accounts_are_numbered_unless_they_are_named() -> None:
    import_logins(many(1, 2))
    store_login(replace(ANN, refresh_token="1//x"), Where(label="mine"))
    store_login(replace(ANN, refresh_token="1//y", email=""), Where())
    labels = Account.objects.order_by("id").values_list("label", flat=True)
    assert list(labels) == ["cli-account-1", "cli-account-2", "mine", "cli-account-3"]


def test_a_label_of_many_is_numbered_and_their_way_is_kept() -> None:
    where = Where(label="team", base_url="https://b.test", proxy_url="http://p:1")
    result = import_logins(many(1, 2), where)
    assert [a.label for a in result.added] == ["team 1", "team 2"]
    account = Account.objects.first()
    assert account.base_url == "https://b.test"
    assert account.proxy_url.reveal() == "http://p:1"


@pytest.mark.parametrize("where", [{"base_url": "ftp://x"}, {"proxy_url": "x"}])
def test_a_way_that_cannot_be_used_is_refused(where: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="must be a full URL"):
        import_logins(many(1), Where(**where))
    assert not Account.objects.exists()


def test_the_same_file_again_changes_nothing() -> None:
    import_logins(many(1))
    result = import_logins(many(1))
    assert (result.added, result.replaced) == ((), ())
    assert len(result.duplicates) == 1
    assert Account.objects.count() == 1


def test_a_known_account_is_told_its_new_way_and_keeps_the_rest() -> None:
    where = Where(label="ann", proxy_url="http://p:1")
    account = store_login(ANN, where).account
    assert store_login(ANN, where).what == "known"
    moved = store_login(ANN, Where(proxy_url="http://p:2"))
    assert (moved.what, moved.account.label) == ("replaced", "ann")
    account.refresh_from_db()
    assert account.proxy_url.reveal() == "http://p:2"


def test_a_known_account_gets_its_newer_login_and_is_new_again() -> None:
    account = store_login(ANN, Where(label="ann")).account
    account.move(Account.State.NEEDS_ATTENTION, cause="login_expired")
    newer = replace(ANN, refresh_token="1//0gNewer")
    found = store_login(newer, Where(), by="olga")
    assert (found.what, found.account.pk) == ("replaced", account.pk)
    assert stored(account).refresh_token == "1//0gNewer"
    assert (account.state, account.label) == ("new", "ann")
    # It is found again under its new credential.
    assert store_login(newer, Where()).what == "known"


def test_an_account_that_needed_attention_is_new_again_even_with_the_same_login() -> (
    None
):
    account = store_login(ANN, Where()).account
    account.move(Account.State.NEEDS_ATTENTION, cause="validation_required")
    assert store_login(ANN, Where()).what == "replaced"
    account.refresh_from_db()
    assert account.state == "new"


def test_a_disabled_account_gets_its_login_and_stays_disabled() -> None:
    account = store_login(ANN, Where()).account
    account.disable("olga")
    store_login(replace(ANN, client_secret="other"), Where())
    assert stored(account).client_secret == "other"
    assert account.state == "disabled"


def test_what_an_older_file_does_not_say_stays() -> None:
    known = replace(
        ANN, project_id="calm-river-1", access_token="ya29.new", expires_at=200.0
    )
    account = store_login(known, Where()).account
    store_login(replace(ANN, access_token="ya29.old", expires_at=100.0), Where())
    assert stored(account) == known


def test_people_with_one_e_mail_and_without_are_told_apart() -> None:
    store_login(replace(ANN, email=""), Where())
    other = replace(ANN, refresh_token="1//0gOther", email="")
    assert store_login(other, Where()).what == "added"
    assert Account.objects.count() == 2


def test_a_login_that_no_key_opens_any_more_is_replaced() -> None:
    account = store_login(ANN, Where()).account
    Account.objects.filter(pk=account.pk).update(secret=Sealed("garbage"))
    assert store_login(ANN, Where()).what == "replaced"
    assert stored(account) == ANN


def test_a_zip_tells_by_name_what_is_wrong_in_it() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("good.json", json.dumps(sandbox_login()))
        archive.writestr("bad.json", '{"access_token": "ya29.secret-of-bad"}')
    result = import_data("code_assist", buffer.getvalue())
    assert len(result.added) == 1
    (bad,) = result.malformed
    assert bad.shown == "bad.json"
    assert "refresh_token" in bad.reason
    assert "ya29" not in bad.reason


def test_other_kinds_are_still_read_by_lines() -> None:
    keys = "\ufeffAIzaSy" + "a" * 33 + "\n# no\nAIzaSy" + "b" * 33
    assert len(import_data("gemini_api", keys).added) == 2
    assert len(import_data("gemini_api", keys.encode()).duplicates) == 2
    with pytest.raises(ValueError, match="UTF-8"):
        import_data("gemini_api", b"\xff\xfe")
    with pytest.raises(ValueError, match="No upstream kind"):
        import_data("nonsense", "x")


def test_the_first_account_opens_its_routes_and_later_ones_leave_them_alone() -> None:
    assert not Target.objects.filter(kind="code_assist").exists()
    before = dict(Target.objects.values_list("route__name", "position"))
    import_logins(many(1))
    served = Target.objects.filter(kind="code_assist").values_list(
        "route__name", flat=True
    )
    assert set(served) == {*MODELS, *(f"{name}-search" for name in SEARCHING)}
    others = Target.objects.exclude(kind="code_assist")
    assert dict(others.values_list("route__name", "position")) == before
    upstream = dict(
        Target.objects.filter(kind="code_assist").values_list(
            "route__name", "upstream_model"
        )
    )
    assert upstream["gemini-3.5-flash"] == "gemini-3-flash"
    assert upstream["gemini-3.5-flash-search"] == "gemini-3-flash-search"
    Target.objects.filter(kind="code_assist").delete()
    import_logins(many(2))
    assert not Target.objects.filter(kind="code_assist").exists()


def test_a_route_that_its_operator_made_keeps_its_words() -> None:
    Route.objects.create(name="gemini-2.5-pro-search", display_name="Mine")
    import_logins(many(1))
    route = Route.objects.get(name="gemini-2.5-pro-search")
    assert route.display_name == "Mine"
    assert route.targets.get().kind == "code_assist"


def test_the_command_takes_a_file_of_logins(
    tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "logins.json"
    path.write_text(many(1, 2))
    call_command("import_accounts", "code_assist", str(path))
    printed = capsys.readouterr().out
    assert "2 added, 0 duplicates, 0 malformed" in printed
    assert "Standard and Enterprise" in printed
    assert refresh_token() not in printed
    path.write_text(json.dumps({**sandbox_login(), "project_id": "calm-river-1"}))
    call_command("import_accounts", "code_assist", str(path))
    assert "replaced" in capsys.readouterr().out
