"""What is kept of a session, and when its cookies are to be renewed."""

import pytest

from accounts.credentials.cookies import WebCookies
from accounts.credentials.websession import (
    ALIVE,
    CHECK_SECONDS,
    CLAIM_SECONDS,
    ROTATE_SECONDS,
    ROTATED,
    UNCHANGED,
    WebSession,
    forecast,
    load_session,
    session_hint,
    session_identity,
    session_secret,
    source_of,
)

PSID = "g.a000SandboxSession-0001_abcdefghijklmnop"
NOW = 1_800_000_000.0
FIRST = WebCookies(psid=PSID, psidts="sidts-first", psidcc="cc", others={"NID": "1"})
SECOND = WebCookies(psid=PSID, psidts="sidts-second", psidcc="cc", others={"NID": "1"})


def session(**fields):
    return WebSession(**{"cookies": FIRST, "pasted_at": NOW} | fields)


def test_a_session_survives_being_kept():
    kept = session(version=7, rotated_at=NOW + 1, tried_at=NOW + 2, result=ROTATED)
    kept = kept.claimed(NOW + 3)
    assert load_session(kept.secret(), kept.facts()) == kept


def test_what_may_be_shown_holds_no_cookie():
    shown = str(session().facts())
    assert not any(value in shown for value in FIRST.named().values() if value != "1")


@pytest.mark.parametrize("text", ["", "{}", "[]", "5", '{"cookies": 5}', "x"])
def test_another_text_is_no_session(text):
    with pytest.raises(ValueError):
        load_session(text)


def test_a_rotation_with_a_new_value_is_a_new_version():
    later = session(failures=2).rotated(SECOND, NOW + 600)
    assert (later.version, later.result, later.failures) == (2, ROTATED, 0)
    assert later.cookies == SECOND
    assert later.rotated_at == NOW + 600


def test_a_rotation_without_a_new_value_keeps_the_version_and_counts():
    later = session().rotated(FIRST, NOW + 600).rotated(FIRST, NOW + 1200)
    assert (later.version, later.result, later.failures) == (1, UNCHANGED, 2)
    assert later.rotated_at == 0


def test_a_session_without_the_cookie_that_rotates_is_merely_alive():
    bare = session(cookies=WebCookies(psid=PSID))
    later = bare.rotated(bare.cookies, NOW)
    assert (later.result, later.failures, later.version) == (ALIVE, 0, 1)


def test_new_cookies_of_a_person_begin_a_new_history():
    later = session(failures=4, result="refused").replaced(SECOND, NOW + 5, "hash")
    assert later == WebSession(
        cookies=SECOND, version=2, pasted_at=NOW + 5, source="hash"
    )


@pytest.mark.parametrize(
    ("state", "after", "due"),
    [
        (session(), ROTATE_SECONDS - 1, False),
        (session(), ROTATE_SECONDS, True),
        (session(rotated_at=NOW + 500), ROTATE_SECONDS, False),
        (session(rotated_at=NOW + 500), ROTATE_SECONDS + 500, True),
        (session(tried_at=NOW + 500, result="limited"), ROTATE_SECONDS + 499, False),
        (session(tried_at=NOW + 500, result="limited"), ROTATE_SECONDS + 500, True),
        (session().claimed(NOW + 600), 600 + CLAIM_SECONDS - 1, False),
        (session().claimed(NOW + 600), 600 + CLAIM_SECONDS, True),
        (session(cookies=WebCookies(psid=PSID)), ROTATE_SECONDS, False),
        (session(cookies=WebCookies(psid=PSID)), CHECK_SECONDS, True),
    ],
)
def test_when_a_session_is_to_be_renewed(state, after, due):
    assert state.is_due(NOW + after) is due


def test_pasted_text_becomes_what_is_sealed():
    secret = session_secret(f"SECURE_1PSID={PSID}\nSECURE_1PSIDTS=sidts-first")
    assert load_session(secret).cookies == WebCookies(psid=PSID, psidts="sidts-first")


def test_what_is_sealed_already_stays_as_it_is():
    secret = session(version=9).secret()
    assert session_secret(secret) == secret


def test_text_without_cookies_cannot_be_sealed():
    with pytest.raises(ValueError, match="No __Secure-1PSID"):
        session_secret("hello")


def test_the_identity_outlives_a_rotation():
    before = session()
    after = before.rotated(SECOND, NOW)
    assert before.secret() != after.secret()
    assert session_identity(before.secret()) == session_identity(after.secret()) == PSID


def test_a_hint_shows_only_the_ends():
    assert session_hint(session().secret()) == "g.a0…mnop"
    assert session_hint(WebSession(cookies=WebCookies(psid="a" * 12)).secret()) == "…"


def test_given_cookies_are_known_again_by_their_hash():
    assert source_of(FIRST) == source_of(WebCookies(**vars_of(FIRST)))
    assert source_of(FIRST) != source_of(SECOND)
    assert FIRST.psidts not in source_of(FIRST)


def vars_of(cookies):
    return {name: getattr(cookies, name) for name in cookies.__slots__}


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (session(result=ROTATED), "a week to two months"),
        (session(cookies=WebCookies(psid=PSID)), "nothing renews them"),
        (session(result=UNCHANGED, failures=3), "Firefox"),
        (session(), "Not renewed yet"),
    ],
)
def test_the_forecast_says_how_long_the_cookies_may_last(state, words):
    assert words in forecast(state)


@pytest.mark.parametrize(
    ("state", "used_at", "after", "unheard"),
    [
        (session(), 0.0, CHECK_SECONDS - 1, False),
        (session(), 0.0, CHECK_SECONDS, True),
        (session(), NOW + 60, CHECK_SECONDS, False),
        (session(rotated_at=NOW + 60), 0.0, CHECK_SECONDS, False),
        (session(tried_at=NOW + 60, result=UNCHANGED), 0.0, CHECK_SECONDS, True),
        (session().looked_at(NOW + 60), 0.0, CHECK_SECONDS, False),
        (session(cookies=WebCookies(psid=PSID)), 0.0, CHECK_SECONDS, False),
        (session().checked("cookies_expired", NOW), 0.0, 59, False),
        (session().checked("cookies_expired", NOW), 0.0, 60, True),
        (session().checked("upstream_error", NOW), 0.0, 60, False),
    ],
)
def test_a_session_is_looked_at_when_nothing_else_shows_life(
    state, used_at, after, unheard
):
    assert state.is_unheard_of(NOW + after, used_at) is unheard


def test_what_a_look_showed_is_kept():
    kept = session().checked("cookies_expired", NOW + 1).checked(ALIVE, NOW + 2)
    assert (kept.check, kept.checked_at, kept.refusals) == (ALIVE, NOW + 2, 0)
    assert load_session(kept.secret(), kept.facts()) == kept


def test_a_look_softens_the_forecast():
    bound = session(result=UNCHANGED, failures=3)
    assert "still worked" not in forecast(bound)
    assert "still worked" in forecast(bound.checked(ALIVE, NOW))
