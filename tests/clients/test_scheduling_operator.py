"""What an operator does to an account takes effect in the running gateway."""

import datetime
import time
from collections.abc import Callable

import pytest

from accounts.models import Account
from gemproxy.lib import clock
from proxy.sandbox.keys import sandbox_key
from tests.clients.conftest import Gateway, add_account, eventually
from tests.clients.volley import chat, statuses, volley

OPERATOR = "olga"
#: Each takes effect within two seconds; ten times that is nobody's busy machine.
BOUND = 20.0

pytestmark = pytest.mark.parametrize("accounts", [["ok", "ok"]], ids=["two"])


def first_account() -> Account:
    return Account.objects.order_by("id")[0]


def asked(gateway: Gateway, account: Account) -> bool:
    """Return whether the account is among those that six requests were sent to."""
    before = gateway.sandbox.stats()["by_key"]
    answers = volley(gateway, [chat()] * 6)
    assert statuses(answers) == {200: 6}
    after = gateway.sandbox.stats()["by_key"]
    key = f"Sandbox-{account.label.rpartition('-')[0]}-{1:06d}"
    return after.get(key, 0) > before.get(key, 0)


def takes_effect(condition: Callable[[], bool]) -> float:
    """Return after how many seconds a condition holds."""
    began = time.monotonic()
    eventually(condition, "it had no effect", BOUND)
    return time.monotonic() - began


def test_an_account_sent_to_rest_is_not_asked_until_it_is_cleared(
    gateway: Gateway,
) -> None:
    account = first_account()
    assert asked(gateway, account)
    account.cool(clock.now() + datetime.timedelta(hours=1), OPERATOR)
    takes_effect(lambda: not asked(gateway, account))
    account.clear(OPERATOR)
    takes_effect(lambda: asked(gateway, account))


def test_a_rest_that_an_operator_gave_ends_in_its_time(gateway: Gateway) -> None:
    account = first_account()
    account.cool(clock.now() + datetime.timedelta(seconds=3), OPERATOR)
    takes_effect(lambda: not asked(gateway, account))
    takes_effect(lambda: asked(gateway, account))


def test_a_disabled_account_is_not_asked_until_it_is_enabled(gateway: Gateway) -> None:
    account = first_account()
    account.disable(OPERATOR)
    takes_effect(lambda: not asked(gateway, account))
    account.enable(OPERATOR)
    takes_effect(lambda: asked(gateway, account))


def test_clearing_ends_a_rest_that_failures_brought_on(gateway: Gateway) -> None:
    account = first_account()
    key = sandbox_key("ok", 1)
    gateway.sandbox.behave(key, "internal")
    eventually(
        lambda: volley(gateway, [chat()] * 6) and account.cool_downs.exists(),
        "the failing account does not rest",
        BOUND,
    )
    gateway.sandbox.behave(key, "ok")
    assert not asked(gateway, account)
    account.clear(OPERATOR)
    takes_effect(lambda: asked(gateway, account))
    assert not account.cool_downs.exists()


def test_clearing_gives_an_account_back_that_was_set_aside(gateway: Gateway) -> None:
    account = first_account()
    key = sandbox_key("ok", 1)
    gateway.sandbox.behave(key, "invalid")
    aside = Account.objects.filter(pk=account.pk, state="needs_attention")
    eventually(
        lambda: volley(gateway, [chat()] * 2) and aside.exists(),
        "the refused account is not set aside",
        BOUND,
    )
    gateway.sandbox.behave(key, "ok")
    assert not asked(gateway, account)
    aside.get().clear(OPERATOR)
    takes_effect(lambda: asked(gateway, account))


def test_an_account_that_is_added_or_deleted_is_noticed(gateway: Gateway) -> None:
    made = add_account("flaky", 1)
    gateway.sandbox.behave(sandbox_key("flaky", 1), "ok")
    takes_effect(lambda: asked(gateway, made))
    made.delete()
    takes_effect(lambda: not asked(gateway, made))
