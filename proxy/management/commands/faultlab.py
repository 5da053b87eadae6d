"""`manage.py faultlab`: what callers meet when accounts fail, as a pass/fail sheet."""

import logging
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts.models import Account
from gemproxy.lib.env import child_environment
from proxy.faultlab import sheet
from proxy.faultlab.own_pair import environment, own_pair
from proxy.faultlab.row import Row
from proxy.faultlab.rows import ROWS
from proxy.faultlab.runner import Result, run
from proxy.faultlab.settings import BOUNDS
from proxy.faultlab.stand import LABEL, Stand, StandBroken
from proxy.management.commands.demo import BLANK


class Command(BaseCommand):
    """Runs the fault matrix; exits 1 if a row fails."""

    help = (
        "Let accounts fail in every known way and check what callers see and whom the "
        "gateway blames. Without --gateway it starts a gateway and a sandbox of its own."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--gateway", metavar="URL", help="a running gateway, which "
                            "uses the database of this installation")  # fmt: skip
        parser.add_argument("--token", help="an API token of that gateway")
        parser.add_argument(
            "--sandbox", metavar="URL", help="a running manage.py sandbox"
        )
        parser.add_argument(
            "--web-sandbox",
            metavar="URL",
            default="",
            help="its --web-port as http://host:port; without it web accounts "
            "are left out. The gateway must trust the certificate.",
        )
        parser.add_argument(
            "--only", metavar="NAME", help="rows whose name contains this"
        )
        parser.add_argument("--json", action="store_true", help="one object a line")
        parser.add_argument(
            "--pause-others",
            action="store_true",
            help="disable the gateway's other accounts during the run",
        )
        parser.add_argument("--inside", action="store_true", help="(used by itself)")

    def handle(self, **options: Any) -> None:
        rows = _chosen(options["only"])
        if options["gateway"] and not options["web_sandbox"]:
            rows = _without_web(rows)
        if options["gateway"]:
            stand = self._running(options)
        elif options["inside"]:
            stand = own_pair()
        else:
            sys.exit(_begin_again(options))
        # Each request would be a line.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        try:
            with stand as found:
                passed = self._report(run(found, rows), as_json=options["json"])
        except StandBroken as error:
            raise CommandError(str(error)) from error
        sys.exit(0 if passed else 1)

    @contextmanager
    def _running(self, options: dict[str, Any]) -> Iterator[Stand]:
        if not options["token"] or not options["sandbox"]:
            raise CommandError("--gateway needs --token and --sandbox too.")
        self._warn_of_bounds()
        with (
            Stand(
                options["gateway"],
                options["token"],
                options["sandbox"],
                options["web_sandbox"],
            ) as stand,
            _others_paused(stand, allowed=options["pause_others"]),
        ):
            yield stand

    def _warn_of_bounds(self) -> None:
        long = [
            f"GEMPROXY_{name}={value}"
            for name, value in BOUNDS.items()
            if getattr(settings, name) > value
        ]
        if long:
            self.stderr.write(
                "Rows in which an account falls silent take as long as the gateway's "
                f"bounds let them. Quick ones: {' '.join(long)}"
            )

    def _report(self, results: Iterator[Result], *, as_json: bool) -> bool:
        """Print each result as it comes; return whether all passed."""
        done: list[Result] = []
        if not as_json:
            self._say(sheet.head())
        for result in results:
            done.append(result)
            if as_json:
                self._say(orjson.dumps(sheet.as_data(result)).decode())
            else:
                self._say(sheet.line(result))
        if not as_json:
            self._say(f"\n{sheet.total(done)}")
        return all(result.passed for result in done)

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def _chosen(part: str | None) -> list[Row]:
    wanted = (part or "").casefold()
    rows = [row for name, row in ROWS.items() if wanted in name.casefold()]
    if not rows:
        raise CommandError(f"No row is called so; there are: {', '.join(ROWS)}.")
    return rows


def _without_web(rows: list[Row]) -> list[Row]:
    left = [row for row in rows if row.kind != "gemini_web"]
    if not left:
        raise CommandError("Rows of web accounts need --web-sandbox.")
    return left


def _begin_again(options: dict[str, Any]) -> int:
    """Run the command in a process with settings of its own; return its exit code.

    Nothing of the operator's own settings may leak in, and nothing stays behind.
    """
    script = str(Path(settings.BASE_DIR) / "manage.py")
    command = [sys.executable, script, "faultlab", "--inside"]
    if options["only"]:
        command += ["--only", options["only"]]
    if options["json"]:
        command.append("--json")
    blank = {f"GEMPROXY_{name}": "" for name in BLANK}
    with tempfile.TemporaryDirectory(
        prefix="gemproxy-faultlab-", ignore_cleanup_errors=True
    ) as folder:
        values = child_environment({**blank, **environment(folder)})
        # The program is this interpreter with a script of our own.
        return subprocess.run(command, env=values, check=False).returncode  # noqa: S603


@contextmanager
def _others_paused(stand: Stand, *, allowed: bool) -> Iterator[None]:
    """Keep the lab's requests away from accounts that are not the lab's."""
    others = stand.strangers()
    if others and not allowed:
        raise CommandError(
            f"This gateway has {len(others)} other usable accounts, which would answer "
            "the lab's requests. Give --pause-others to disable them during the run."
        )
    with ExitStack() as stack:
        for account in others:
            before = Account.objects.get(pk=account.pk)
            account.disable(LABEL)
            stack.callback(_bring_back, before)
        yield


def _bring_back(before: Account) -> None:
    """Put an account back into the state it was in, if it still is as we left it."""
    now = Account.objects.filter(pk=before.pk, state=Account.State.DISABLED).first()
    if now is not None:
        now.move(
            before.state,
            cause=before.state_cause,
            advice=before.state_advice,
            link=before.state_link,
            by=LABEL,
        )
