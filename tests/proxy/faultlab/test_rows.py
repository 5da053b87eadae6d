"""The matrix is complete and can be played by the sandbox."""

import pytest

from proxy.faultlab.row import FORMS, STREAMS, Row
from proxy.faultlab.rows import ROWS
from proxy.faultlab.settings import BOUNDS
from proxy.sandbox import code_assist, oauth, web_accounts, xai_faults
from proxy.sandbox.behaviours import GEMINI_NAMES, Behaviours
from proxy.sandbox.logins import Logins, refresh_token
from proxy.wire.causes import RULES
from tests import settings

#: "flaky" and "limited" are mixtures of what has rows.
PLAIN = {"ok", "flaky", "limited"}
#: What no request of a caller's meets: it shows in the job that renews cookies
#: (tests/proxy/test_rotation.py) or in pictures (tests/proxy/upstreams).
ROTATIONS = web_accounts._ROTATIONS
PICTURES = {"refusal", "nofull", "nomedia", "nomark", "oldmark"}
#: Silently another model: an answer like any other.
SERVED = {"silentflash"}
#: Google's other services, which answer before or beside the API, and the ways to
#: stream that all kinds share: tests/proxy/upstreams/test_code_assist*.py.
JOINING = {"new", "joinfail", "ownproject"}
RENEWING = {"rotating", "grantstall", "rotatingstall"}
SHARED = set(GEMINI_NAMES)
#: Ways out that all accounts share would be blocked for the rows that follow:
#: tests/clients/test_kinds_faults.py.
WAYS_OUT = {"location", "challenge"}


def shown(kind: str) -> set[str]:
    return {row.behaviour for row in ROWS.values() if row.kind == kind}


def test_every_behaviour_of_the_sandbox_has_a_row() -> None:
    assert shown("gemini_api") | PLAIN == GEMINI_NAMES


def test_every_behaviour_of_a_web_account_has_a_row() -> None:
    elsewhere = ROTATIONS | PICTURES | SERVED | {"ok"}
    assert shown("gemini_web") == web_accounts.NAMES - elsewhere


def test_every_refusal_of_a_login_has_a_row() -> None:
    refusals = {*code_assist.faults.REFUSALS, *code_assist.STANDINGS, *oauth.NAMES}
    assert shown("code_assist") == refusals - JOINING - RENEWING - WAYS_OUT


def test_every_refusal_of_xais_has_a_row() -> None:
    missing = xai_faults.XAI_NAMES - shown("xai")
    assert missing - SHARED - WAYS_OUT == set()
    assert set(xai_faults.XAI_REFUSALS) <= shown("xai")


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_the_sandbox_takes_what_a_row_says(row: Row) -> None:
    params = dict(row.params)
    if row.kind == "gemini_web":
        wish = {"psid": web_accounts.sandbox_psid(), "behaviour": row.behaviour}
        assert web_accounts.People().tell(wish).behaviour == row.behaviour
    elif row.kind == "code_assist":
        params.pop("expire", None)
        names = code_assist.RUNNING | code_assist.STANDINGS | oauth.NAMES
        wish = {"login": refresh_token(), "behaviour": row.behaviour, **params}
        assert Logins(lambda: 0.0).tell(wish, names).name == row.behaviour
    else:
        wish = {"key": "k", "behaviour": row.behaviour, "model": "m", **params}
        assert Behaviours().tell(wish).name == row.behaviour


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_row_is_sound(row: Row) -> None:
    assert row.forms
    assert set(row.forms) <= set(FORMS)
    assert len(set(row.forms)) == len(row.forms)
    assert set(row.blame.causes) <= set(RULES)
    assert (row.blame.whose == "nobody") == (not row.blame.causes)
    for form in row.forms:
        for alone in (False, True):
            answer = row.expected(form, alone=alone)
            words = answer.codes or answer.finishes
            assert set(words) == {"openai", "gemini"}


def test_both_dialects_and_both_ways_to_answer_are_tried() -> None:
    used = {form for row in ROWS.values() for form in row.forms}
    assert used == set(FORMS)
    for row in ROWS.values():
        if row.act == "stay" and len(row.forms) > 1:
            assert {form.dialect for form in row.forms} == {"openai", "gemini"}, (
                row.name
            )


def test_a_fault_before_content_is_unseen_with_a_second_account() -> None:
    """Only what the caller caused, what is an answer, and what all share is seen."""
    seen = {row.name for row in ROWS.values() if not _unseen(row)}
    assert seen == {
        "429 on all keys at once",
        "400 bad schema",
        "blocked prompt",
        "finish SAFETY",
        "finish RECITATION",
        "finish MAX_TOKENS without text",
        "stream cut after content",
        "stream ends without a finish",
        "stream stalls",
        "one malformed event",
        "error in the middle of a stream",
        "web: a guest answers in a stream",
        "web: silence in the middle",
        "web: connection cut in the middle",
        "web: answer ends early",
        "xai: 403 against the rules",
        "xai: 400 prompt too long",
        "xai: stream cut after content",
        "xai: stream ends without a finish",
        "xai: stream stalls",
        "xai: error in the middle of a stream",
    }


def test_faults_after_content_end_in_one_frame_and_are_in_the_usage_log() -> None:
    framed = [
        row
        for row in ROWS.values()
        for form in row.forms[:1]
        if row.expected(form, alone=True).status == 200
        and row.expected(form, alone=True).codes
    ]
    assert len(framed) == 13
    assert all(row.forms == STREAMS and row.ledger for row in framed)


def test_the_bounds_are_settings() -> None:
    assert all(hasattr(settings, name) for name in BOUNDS)


def _unseen(row: Row) -> bool:
    answer = row.expected(row.forms[0], alone=False)
    return answer.status == 200 and not answer.codes and answer.full
