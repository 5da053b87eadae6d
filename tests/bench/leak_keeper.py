"""Fills the pool with accounts, then lets their cookies and tokens be renewed.

Arguments: the sandbox's address, that of its web proxy, and how many accounts of each
kind. Prints ``token gp-…`` when the pool is full; runs until it is stopped.
"""

import itertools
import json
import sys
import threading

import django
import httpx

from tests.bench.leak_stage import CLI, WEB

#: One account of each kind is renewed in so many seconds.
PAUSE = 1.0


def main(sandbox: str, web: str, count: int) -> None:
    """Fill and keep."""
    django.setup()
    # Models can be imported only now.
    from proxy.sandbox.logins import refresh_token

    token = _fill(web, count)
    print(f"token {token}", flush=True)
    pause = threading.Event()
    with httpx.Client(base_url=sandbox, trust_env=False) as client:
        for number in itertools.cycle(range(1, count + 1)):
            login = refresh_token("ok", number)
            wish = {"login": login, "behaviour": "ok", "expire": True}
            client.post("/sandbox/logins", json=wish).raise_for_status()
            _rotate(number)
            pause.wait(PAUSE)


def _fill(web: str, count: int) -> str:
    from accounts import websessions
    from accounts.credentials.cookies import WebCookies
    from accounts.models import Token, User
    from proxy.cli_logins import import_logins
    from proxy.models import Route
    from proxy.sandbox.logins import sandbox_login
    from proxy.sandbox.web_accounts import sandbox_psid, sandbox_psidts

    for number in range(1, count + 1):
        psid = sandbox_psid("ok", number)
        cookies = WebCookies(psid=psid, psidts=sandbox_psidts(psid))
        websessions.add(cookies, proxy_url=web, label=f"web-{number}")
    logins = [sandbox_login("ok", number) for number in range(1, count + 1)]
    import_logins(json.dumps(logins))
    for name, kind, model in (
        (WEB, "gemini_web", "gemini-flash"),
        (CLI, "code_assist", "gemini-2.5-flash"),
    ):
        route = Route.objects.create(name=name)
        route.targets.create(kind=kind, upstream_model=model)
    user = User.objects.create_user("leaks")
    return Token.issue(user=user, name="leaks")[1]


def _rotate(number: int) -> None:
    """Let the cookies of an account be due, and renew what is due."""
    from accounts.models import Account
    from accounts.models.upstream import WEB_FACTS
    from proxy.jobs import rotate_cookies

    account = Account.objects.get(label=f"web-{number}")
    facts = dict.fromkeys(("pasted_at", "rotated_at", "tried_at"), 0.0)
    account.facts = {**account.facts, WEB_FACTS: facts}
    account.save(update_fields=["facts"])
    told = rotate_cookies()
    if told != "1 rotated":
        print(f"web-{number}: {told}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
