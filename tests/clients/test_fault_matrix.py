"""The fault lab's matrix on a gateway in this process: every row, every form."""

import functools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from accounts.feed import Feed
from accounts.models import Account
from proxy.faultlab.expectations import ANSWERED, NOBODY, attention, resting, told
from proxy.faultlab.row import OPENAI, OPENAI_STREAM, Row
from proxy.faultlab.rows import ROWS
from proxy.faultlab.runner import run, run_form
from proxy.faultlab.settings import BOUNDS
from proxy.faultlab.stand import Stand
from proxy.models import Route
from tests.clients.conftest import Gateway, Sandbox, eventually
from tests.proxy.upstreams.web_accounts import Site, served

# Three minutes of silences and pauses: once, in the run on SQLite, is enough.
pytestmark = pytest.mark.slow


@pytest.fixture
def accounts() -> list[str]:
    return []


@pytest.fixture(autouse=True)
def bounds(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let silence be over soon, and changes be heard soon."""
    for name, value in BOUNDS.items():
        setattr(settings, name, value)
    monkeypatch.setattr("proxy.runtime.Feed", functools.partial(Feed, 0.05))


@pytest.fixture(scope="module")
def site(tmp_path_factory: Any) -> Iterator[Site]:
    with served(tmp_path_factory.mktemp("web")) as running:
        yield running


@pytest.fixture
def google(settings: Any, sandbox: Sandbox, site: Site) -> str:
    """Let the sign-ins of all kinds be the sandbox's; return its web proxy."""
    settings.OAUTH_TOKEN_URL = f"{sandbox.url}/token"
    settings.GEMINI_WEB_CA_FILE = site.ca_file
    return site.sandbox.proxy_url


@pytest.fixture
def stand(google: str, gateway: Gateway) -> Iterator[Stand]:
    with Stand(gateway.url, gateway.token, gateway.sandbox.url, google) as made:
        yield made


@pytest.mark.parametrize("name", ROWS)
def test_a_fault_is_told_blamed_and_harms_nobody_else(stand: Stand, name: str) -> None:
    results = list(run(stand, [ROWS[name]]))
    assert [r.form for r in results] == list(ROWS[name].forms)
    failed = {r.form.name: r.complaints for r in results if not r.passed}
    assert failed == {}


MINUTE, INTERNAL = ROWS["429 PerMinute with RetryInfo"], ROWS["500 INTERNAL"]
EARLY = ROWS["client gone before the first byte"]
#: Rows that expect the wrong thing, and what the lab must say of them.
WRONG: list[tuple[Row, str]] = [
    (replace(MINUTE, alone=told(503, "overloaded", "")), "alone: status 429"),
    (replace(MINUTE, blame=NOBODY), "quota_minute as well"),
    (replace(MINUTE, blame=resting("quota_minute", 1, 2)), "expected 1 to 2"),
    (replace(MINUTE, blame=attention("leaked")), "expected account leaked"),
    (replace(MINUTE, behaviour="ok"), "alone: status 200"),
    (replace(MINUTE, others="internal"), "with a second account: status"),
    (replace(MINUTE, params={"nonsense": 1}), "the sandbox refuses perminute"),
    (replace(INTERNAL, ledger="timeout"), "upstream_error, not timeout"),
    (replace(ROWS["blocked prompt"], pair=ANSWERED), "with a second account: finished"),
    (replace(EARLY, behaviour="ok", params={}), "before the caller could go"),
    (replace(EARLY, ledger="timeout"), "client_closed, not timeout"),
]


@pytest.mark.parametrize(("row", "words"), WRONG, ids=[words for _, words in WRONG])
def test_a_row_that_expects_the_wrong_thing_fails(
    stand: Stand, row: Row, words: str
) -> None:
    result = run_form(stand, row, OPENAI)
    assert not result.passed
    assert any(words in text for text in result.complaints), result.complaints


def test_the_lab_leaves_nothing_in_the_pool(gateway: Gateway, stand: Stand) -> None:
    run_form(stand, INTERNAL, OPENAI_STREAM)
    stand.__exit__()
    assert not Account.objects.exists()
    assert not Route.objects.filter(name__startswith="fault-lab").exists()

    def is_empty() -> bool:
        error = gateway.chat("hello").json().get("error", {})
        return error.get("code") == "no_account"

    eventually(is_empty, "the pool still answers")
