"""By what credentials are known again."""

from dataclasses import replace

import pytest

from accounts.credentials.cli_json import CliCredential, dumped
from accounts.credentials.identity import LONGEST_HINT, hint_of, identity_of

LOGIN = CliCredential(refresh_token="1//0gToken", email="ann@example.org")


@pytest.mark.parametrize(
    "change",
    [{"access_token": "a"}, {"expires_at": 5.0}, {"project_id": "p"}, {"email": ""}],
)
def test_a_login_is_the_same_while_its_refresh_token_is(change):
    known = identity_of("code_assist", dumped(LOGIN))
    assert identity_of("code_assist", dumped(replace(LOGIN, **change))) == known


def test_another_refresh_token_is_another_login():
    other = replace(LOGIN, refresh_token="1//0gOther")
    found = {identity_of("code_assist", dumped(each)) for each in (LOGIN, other)}
    assert len(found) == 2


def test_a_secret_that_cannot_be_read_and_one_of_other_kinds_stand_for_themselves():
    assert identity_of("code_assist", "AIza") == "AIza"
    assert identity_of("gemini_api", dumped(LOGIN)) == dumped(LOGIN)


@pytest.mark.parametrize(
    ("email", "hint"),
    [
        ("ann@example.org", "ann@example.org"),
        ("a-very-long-name@a-long-host.example", "a-very-long-name@a-long…"),
    ],
)
def test_a_login_is_shown_by_its_e_mail(email, hint):
    assert hint_of("code_assist", dumped(replace(LOGIN, email=email))) == hint


def test_a_login_without_e_mail_is_shown_by_a_mark_that_tells_nothing():
    hint = hint_of("code_assist", dumped(replace(LOGIN, email="")))
    assert hint.startswith("login ")
    assert len(hint) <= LONGEST_HINT
    assert not any(part in hint for part in ("1//", "Token"))


def test_other_secrets_have_no_hint_of_their_own():
    assert hint_of("gemini_api", "AIza") == ""
    assert hint_of("code_assist", "AIza") == ""
