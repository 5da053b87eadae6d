"""`import_accounts` and the list import behind it."""

import io
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Account
from proxy.imports import import_secrets

KEYS = [f"AIzaSy{letter * 33}" for letter in "abc"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Import a text; return what was printed."""

    def run(text: str, *options: str) -> str:
        path = tmp_path / "keys.txt"
        path.write_text(text)
        call_command("import_accounts", "gemini_api", str(path), *options)
        return capsys.readouterr().out

    return run


def test_each_line_becomes_an_account_that_holds_its_secret() -> None:
    result = import_secrets("gemini_api", KEYS)
    assert [account.secret.reveal() for account in Account.objects.all()] == KEYS
    assert [a.pk for a in result.added] == [a.pk for a in Account.objects.all()]


def test_blank_lines_and_comments_are_skipped(run) -> None:
    run(f"# our keys\n\n  {KEYS[0]}  \n\t\n#{KEYS[1]}\n")
    assert Account.objects.get().secret.reveal() == KEYS[0]


def test_a_file_may_begin_with_a_byte_order_mark(run) -> None:
    run(f"\ufeff{KEYS[0]}\r\n{KEYS[1]}\r\n")
    assert Account.objects.count() == 2


def test_no_whole_key_is_printed(run) -> None:
    printed = run("\n".join([*KEYS, KEYS[0], "short", KEYS[2] + "!"]))
    for key in KEYS:
        assert key not in printed
    assert "3 added, 1 duplicates, 2 malformed" in printed


def test_duplicates_are_reported_and_not_added(run) -> None:
    run(KEYS[0])
    printed = run(f"{KEYS[0]}\n{KEYS[1]}")
    assert "1 added, 1 duplicates" in printed
    assert "is in the pool already" in printed
    assert Account.objects.count() == 2


def test_a_disabled_account_is_left_as_it_is(run) -> None:
    run(KEYS[0], "--label", "mine")
    Account.objects.update(state=Account.State.DISABLED)
    run(KEYS[0], "--label", "other")
    account = Account.objects.get()
    assert (account.state, account.label) == (Account.State.DISABLED, "mine")


def test_a_malformed_line_is_named_by_number_and_stops_nothing(run) -> None:
    printed = run(f"# one\nnot a key at all, surely\n{KEYS[0]}")
    assert "line 2" in printed
    assert "blanks" in printed
    assert Account.objects.count() == 1


def test_only_malformed_lines_are_a_failure(run) -> None:
    with pytest.raises(CommandError, match="Nothing was added"):
        run("short\n")


def test_only_duplicates_are_no_failure(run) -> None:
    run(KEYS[0])
    assert "0 added, 1 duplicates, 0 malformed" in run(KEYS[0])


def test_urls_and_label_go_to_every_account(run) -> None:
    run(
        "\n".join(KEYS[:2]),
        "--base-url=https://relay.example.org/gemini",
        "--proxy=socks5://user:pass@proxy.example.org:1080",
        "--label=team",
    )
    first, second = Account.objects.all()
    assert (first.label, second.label) == ("team 1", "team 2")
    for account in (first, second):
        assert account.base_url == "https://relay.example.org/gemini"
        assert account.proxy_url.reveal() == "socks5://user:pass@proxy.example.org:1080"


def test_a_single_account_has_the_label_as_it_is(run) -> None:
    run(KEYS[0], "--label=team")
    assert Account.objects.get().label == "team"


@pytest.mark.parametrize(
    "option",
    [
        "--base-url=relay.example.org",
        "--base-url=ftp://relay.example.org",
        "--base-url=https://",
        "--proxy=proxy.example.org:1080",
        "--proxy=ssh://proxy.example.org",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_before_anything_is_stored(
    run, option: str
) -> None:
    with pytest.raises(CommandError, match="must be a full URL"):
        run(KEYS[0], option)
    assert not Account.objects.exists()


def test_the_input_may_be_the_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\ufeff" + "\n".join(KEYS)))
    call_command("import_accounts", "gemini_api", "-")
    assert "3 added" in capsys.readouterr().out


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"absent\.txt cannot be read"):
        call_command("import_accounts", "gemini_api", str(tmp_path / "absent.txt"))


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "keys.bin"
    path.write_bytes(b"\xff\xfe\x00key")
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("import_accounts", "gemini_api", str(path))


def test_an_unknown_kind_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="gemini_api"):
        call_command("import_accounts", "abacus", "-")
    with pytest.raises(ValueError, match="gemini_api"):
        import_secrets("abacus", KEYS)
