"""“Test now”: ask an upstream account for its models and draw the conclusion."""

import asyncio
from dataclasses import dataclass

from asgiref.sync import async_to_sync

from accounts.models import Account
from gemproxy.lib import clock
from gemproxy.lib.secrets import SecretUnreadable
from proxy.errors import Fault, UpstreamTimeout
from proxy.scheduling.account_rows import UNREADABLE, config_of
from proxy.scheduling.pool import make_adapter
from proxy.upstreams.base import AccountConfig, Timeouts
from proxy.upstreams.http import Clients
from proxy.wire.causes import cause_of
from proxy.wire.verdicts import judge

SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Tested:
    """How a test ended, in a sentence for the operator."""

    passed: bool
    text: str


def try_account(account: Account) -> Tested:
    """Call the provider once, at most 15 s, and move the account accordingly.

    A disabled account is tested but stays disabled: that was a person's decision.
    """
    try:
        models = async_to_sync(_probe, force_new_loop=True)(config_of(account))
    except SecretUnreadable:
        return _refused(account, UNREADABLE, "The secret cannot be decrypted.")
    except Fault as fault:
        verdict = judge(fault, now=clock.now())
        if verdict.attention:
            return _refused(account, verdict.cause, fault.message, verdict.link)
        todo = cause_of(verdict.cause, of_account=True).action
        _note(account, f"test_{verdict.cause}", todo)
        return Tested(False, f"{fault.message} {todo}")
    return _passed(account, len(models))


async def _probe(config: AccountConfig) -> list[str]:
    # The loop is this test's own, so its connections are as well.
    clients = Clients()
    adapter = make_adapter(config.kind, clients)
    timeouts = Timeouts(first_byte=SECONDS, idle=SECONDS, total=SECONDS)
    try:
        async with asyncio.timeout(SECONDS):
            return await adapter.probe(config, timeouts)
    except TimeoutError as error:
        raise UpstreamTimeout from error
    finally:
        await adapter.aclose()


def _passed(account: Account, models: int) -> Tested:
    if account.state == Account.State.DISABLED:
        _note(account, "test_passed")
        return Tested(True, f"It works, {models} models; it stays disabled.")
    if not account.move(Account.State.ACTIVE):
        _note(account, "test_passed")
    return Tested(True, f"It works, {models} models.")


def _refused(account: Account, code: str, message: str, link: str = "") -> Tested:
    todo = cause_of(code, of_account=True).action
    disabled = account.state == Account.State.DISABLED
    if disabled or not account.move(
        Account.State.NEEDS_ATTENTION, cause=code, advice=todo, link=link
    ):
        _note(account, code, todo)
    return Tested(False, f"{message} {todo}")


def _note(account: Account, cause: str, todo: str = "") -> None:
    account.events.create(state=account.state, cause=cause, advice=todo)
