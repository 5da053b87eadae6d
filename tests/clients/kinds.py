"""The imitated Google in this process, and installations whose accounts are there."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from proxy.sandbox.app import Sandbox, create_sandbox
from proxy.sandbox.logins import CLIENT_ID, CLIENT_SECRET
from proxy.sandbox.web_accounts import People, Person
from tests.clients.conftest import Served
from tests.clients.installations import Installation, own_postgres
from tests.proxy.upstreams.web_accounts import Site, served

WEB, CLI = "of-web", "of-cli"
#: What fills an installation; prints the ids of the accounts, and two tokens.
FILL = """
import json
from accounts import websessions
from accounts.credentials.cookies import WebCookies
from accounts.models import Account, Token, User
from proxy.cli_logins import import_logins
from proxy.models import Route
from proxy.sandbox.logins import sandbox_login
from proxy.sandbox.web_accounts import sandbox_psid, sandbox_psidts
ids = []
for priority, name in enumerate(web):
    psid = sandbox_psid(name)
    cookies = WebCookies(psid=psid, psidts=sandbox_psidts(psid))
    made = websessions.add(
        cookies, proxy_url=proxy_url, label=f"web {name}", priority=priority
    )
    Account.objects.filter(pk=made.pk).update(facts={})
    ids.append(made.pk)
for priority, name in enumerate(cli):
    made = import_logins(json.dumps(sandbox_login(name))).added[0]
    Account.objects.filter(pk=made.pk).update(priority=priority, label=f"cli {name}")
    ids.append(made.pk)
for name, kind, model in (
    ("of-web", "gemini_web", "gemini-flash"),
    ("of-cli", "code_assist", "gemini-2.5-flash"),
):
    Route.objects.create(name=name).targets.create(kind=kind, upstream_model=model)
user = User.objects.create_user("carla")
boss = User.objects.create_user("opal", is_staff=True, is_superuser=True)
caller = Token.issue(user=user, name="caller")[1]
operator = Token.issue(user=boss, name="operator", scope=Token.Scope.OPERATOR)[1]
print(json.dumps({"ids": ids, "caller": caller, "operator": operator}))
"""


@dataclass
class Google:
    """Its sign-ins and answers, as they are asked for and seen by tests."""

    url: str
    box: Sandbox
    site: Site

    @property
    def people(self) -> People:
        return self.site.people

    def person(self, psid: str) -> Person:
        return self.people.person(psid)

    def settings(self) -> dict[str, str]:
        """Return what points an installation here."""
        return {
            "GEMINI_BASE_URL": self.url,
            "CODE_ASSIST_BASE_URL": self.url,
            "OAUTH_TOKEN_URL": f"{self.url}/token",
            "GEMINI_CLI_CLIENT_ID": CLIENT_ID,
            "GEMINI_CLI_CLIENT_SECRET": CLIENT_SECRET,
            "GEMINI_WEB_CA_FILE": self.site.ca_file,
        }


@contextlib.contextmanager
def google(folder: Path) -> Iterator[Google]:
    """Run the imitation."""
    box = create_sandbox()
    with Served(box, lifespan="off") as running, served(folder) as site:
        yield Google(running.url, box, site)


@dataclass
class Filled:
    """An installation with accounts, in the order given: first web, then CLI."""

    at: Installation
    ids: list[int]
    caller: str
    operator: str

    def chat(self, url: str, model: str, text: str = "Say exactly: hello") -> Any:
        """Ask a server; return its answer."""
        body = {"model": model, "messages": [{"role": "user", "content": text}]}
        headers = {"Authorization": f"Bearer {self.caller}"}
        return httpx.post(
            f"{url}/v1/chat/completions", json=body, headers=headers, timeout=60
        )

    def operate(self, url: str, method: str, path: str, **options: Any) -> Any:
        """Call an operator endpoint; return its answer."""
        headers = {"Authorization": f"Bearer {self.operator}"}
        return httpx.request(
            method, f"{url}{path}", headers=headers, timeout=60, **options
        )


@contextlib.contextmanager
def filled(
    folder: Path,
    at: Google,
    *,
    database: str = "sqlite",
    redis_url: str = "",
    web: tuple[str, ...] = (),
    cli: tuple[str, ...] = (),
) -> Iterator[Filled]:
    """Make an installation on SQLite or PostgreSQL with accounts of behaviours."""
    with contextlib.ExitStack() as stack:
        settings = {**at.settings(), "REDIS_URL": redis_url}
        if database == "postgres":
            server = os.environ["TEST_DATABASE_URL"]
            name = f"gemproxy_kinds_{secrets.token_hex(4)}"
            settings["DATABASE_URL"] = stack.enter_context(own_postgres(server, name))
        made = Installation(folder / "var", settings, folder)
        made.manage("migrate", "-v", "0")
        if database == "sqlite":
            # The job queue has a file of its own.
            made.manage("migrate", "-v", "0", "--database", "jobs")
        proxy_url = at.site.sandbox.proxy_url
        told = made.shell(FILL, web=web, cli=cli, proxy_url=proxy_url)
        yield Filled(made, told["ids"], told["caller"], told["operator"])
