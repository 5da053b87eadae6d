"""`import_accounts` and the list import behind it."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Account
from proxy.imports import import_secrets
from proxy.sandbox.web_authority import Authority

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
    typed = io.BytesIO(("\ufeff" + "\n".join(KEYS)).encode())
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(typed))
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


# What is said of the way, for every kind ----------------------------------------------

XAI = "xai-" + "k" * 60
PEM = Authority(["localhost"]).pem.decode()
COOKIES = """# Netscape HTTP Cookie File
.google.com\tTRUE\t/\tTRUE\t1900000000\t__Secure-1PSID\tg.a000{letter}-psid-0123456789
.google.com\tTRUE\t/\tTRUE\t1900000000\t__Secure-1PSIDTS\tsidts-{letter}
"""
#: One credential of each kind as a person has it.
GIVEN = {
    "gemini_api": KEYS[0],
    "xai": XAI,
    "gemini_web": COOKIES.format(letter="a"),
    "code_assist": json.dumps({"refresh_token": "1//0g-first", "client_id": "i"}),
}


@pytest.fixture
def away(settings: Any) -> None:
    """Nobody listens where Google should be."""
    settings.CODE_ASSIST_BASE_URL = "http://127.0.0.1:9"
    settings.OAUTH_TOKEN_URL = "http://127.0.0.1:9/token"


@pytest.fixture
def imported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], away: None
) -> Callable[..., str]:
    """Import bytes as a file; return what was printed."""

    def imported(kind: str, content: bytes | str, *options: str) -> str:
        path = tmp_path / "given"
        raw = content.encode() if isinstance(content, str) else content
        path.write_bytes(raw)
        call_command("import_accounts", kind, str(path), *options)
        return capsys.readouterr().out

    return imported


@pytest.fixture
def ca_file(tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    path.write_text(f"our proxy's\n{PEM}")
    return str(path)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", GIVEN)
def test_every_kind_takes_all_options(
    imported: Callable[..., str], ca_file: str, kind: str
) -> None:
    options = (
        "--base-url=https://relay.example.org",
        "--proxy=http://proxy.example.org:3128",
        f"--ca={ca_file}",
        "--label=team",
        "--priority=32767",
    )
    assert "1 added, 0 duplicates, 0 malformed" in imported(kind, GIVEN[kind], *options)
    account = Account.objects.get()
    assert account.base_url == "https://relay.example.org"
    assert account.proxy_url.reveal() == "http://proxy.example.org:3128"
    assert (account.ca_pem, account.label) == (PEM, "team")
    assert (account.priority, account.kind) == (32767, kind)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["gemini_web", "code_assist"])
def test_what_is_said_of_a_known_account_is_taken_over_and_the_rest_stays(
    imported: Callable[..., str], ca_file: str, kind: str
) -> None:
    imported(kind, GIVEN[kind], "--label=mine", "--proxy=http://p.example.org:1")
    newer = GIVEN[kind].replace("sidts-a", "sidts-b")
    printed = imported(kind, newer, f"--ca={ca_file}", "--priority=5")
    assert "replaced" in printed
    account = Account.objects.get()
    assert (account.label, account.priority, account.ca_pem) == ("mine", 5, PEM)
    assert account.proxy_url.reveal() == "http://p.example.org:1"


@pytest.mark.parametrize("kind", GIVEN)
@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--priority=-1", "0 to 32767"),
        ("--priority=32768", "0 to 32767"),
        ("--ca=absent.pem", "cannot be read"),
        ("--ca=/dev/null", "no certificate"),
        ("--ca=LEAF", "BEGIN CERTIFICATE"),
        ("--ca=KEY", "private key"),
    ],
)
def test_an_option_that_cannot_be_used_stops_the_import(
    imported: Callable[..., str], tmp_path: Path, kind: str, option: str, words: str
) -> None:
    (tmp_path / "LEAF").write_text("nothing of use")
    (tmp_path / "KEY").write_text(PEM + "-----BEGIN PRIVATE KEY-----\n")
    for name in ("LEAF", "KEY"):
        option = option.replace(f"={name}", f"={tmp_path / name}")
    with pytest.raises(CommandError, match=words):
        imported(kind, GIVEN[kind], option)
    assert not Account.objects.exists()


def test_a_priority_that_is_no_number_is_refused(imported: Callable[..., str]) -> None:
    with pytest.raises(CommandError, match="--priority"):
        imported("xai", XAI, "--priority=high")


def zipped() -> bytes:
    """A zip of a gemini-cli folder and another login."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(".gemini/oauth_creds.json", GIVEN["code_assist"])
        archive.writestr(".gemini/settings.json", '{"theme": "dark"}')
        archive.writestr("b.json", GIVEN["code_assist"].replace("first", "second"))
        archive.writestr("readme.md", "no login")
    return buffer.getvalue()


JAR = [
    {"name": "__Secure-1PSID", "value": "g.a000b-psid-0123456789", "domain": ".google.com"},
    {"name": "__Secure-1PSIDTS", "value": "sidts-b", "domain": ".google.com"},
]  # fmt: skip
HEADER = "Cookie: __Secure-1PSID=g.a000c-psid-0123456789; __Secure-1PSIDTS=sidts-c"
CURL = f"curl 'https://gemini.google.com/app' -H '{HEADER.lower()}'".replace(
    "__secure-1psidts", "__Secure-1PSIDTS"
).replace("__secure-1psid", "__Secure-1PSID")
BARE = "__Secure-1PSID=g.a000d-psid-0123456789\n__Secure-1PSIDTS=sidts-d\n"
ALL_COOKIES = f"\n{'-' * 5}\n".join(
    [COOKIES.format(letter="a"), json.dumps(JAR), HEADER, BARE]
)
FORMS: list[tuple[str, bytes | str, int]] = [
    ("code_assist", zipped(), 2),
    ("code_assist", GIVEN["code_assist"], 1),
    ("code_assist", f"[{GIVEN['code_assist']}]", 1),
    ("code_assist", b"\xef\xbb\xbf" + GIVEN["code_assist"].encode(), 1),
    ("gemini_web", COOKIES.format(letter="a"), 1),
    ("gemini_web", COOKIES.format(letter="a").replace("\n", "\r\n"), 1),
    ("gemini_web", json.dumps(JAR), 1),
    ("gemini_web", HEADER, 1),
    ("gemini_web", CURL, 1),
    ("gemini_web", BARE, 1),
    ("gemini_web", ALL_COOKIES, 4),
    ("xai", f"{XAI}\n# old\n{XAI}2\n", 2),
]
NAMES = [f"{kind}-{number}" for number, (kind, _, _) in enumerate(FORMS)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("kind", "content", "count"), FORMS, ids=NAMES)
@pytest.mark.parametrize("by", ["file", "input"])
def test_every_form_comes_by_file_and_by_the_standard_input(
    imported: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    content: bytes | str,
    count: int,
    by: str,
) -> None:
    if by == "file":
        printed = imported(kind, content)
    else:
        raw = content.encode() if isinstance(content, str) else content
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(raw)))
        call_command("import_accounts", kind, "-")
        printed = capsys.readouterr().out
    assert f"{count} added, 0 duplicates, 0 malformed" in printed
    assert Account.objects.filter(kind=kind).count() == count


@pytest.mark.django_db(transaction=True)
def test_logins_are_tried_without_being_asked_and_others_are_not(
    imported: Callable[..., str],
) -> None:
    printed = imported("code_assist", GIVEN["code_assist"])
    assert "not yet    cli-account-1:" in printed or "fails" in printed
    assert "works" not in imported("xai", XAI)
    assert Account.objects.get(kind="xai").state == "new"


def test_the_help_says_what_each_kind_takes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        call_command("import_accounts", "--help")
    printed = capsys.readouterr().out
    for words in ("gemini_web: cookies as JSON", "code_assist: JSON", "xai: keys"):
        assert words in printed
    assert "instead of Google" not in printed
