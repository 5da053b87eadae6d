"""`manage.py import_accounts`: upstream credentials from a file or the standard input."""

import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import Account
from accounts.models.upstream import LAST_PRIORITY
from proxy.admin.probe import Tested, try_accounts, try_new
from proxy.importing import import_data
from proxy.imports import ImportResult, Where
from proxy.upstreams.kinds import KINDS

STANDARD_INPUT = "-"
_ACCEPTED = "\n".join(f"  {kind.name}: {kind.accepts}" for kind in KINDS.values())


class Command(BaseCommand):
    """Add accounts to the pool from what people have of them."""

    help = (
        "Add upstream accounts. What a file may hold, by kind:\n"
        f"{_ACCEPTED}\n"
        "A line that begins with # is a comment. Gemini CLI logins are tested at once."
    )

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.formatter_class = RawDescriptionHelpFormatter
        return parser

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("kind", metavar="KIND", choices=sorted(KINDS))
        parser.add_argument("file", metavar="FILE", help="a path, or - for the input")
        parser.add_argument(
            "--base-url", default="", help="where they are asked instead of the usual"
        )
        parser.add_argument(
            "--proxy",
            default="",
            help="egress proxy of these accounts: http(s):// or socks4/5://",
        )
        parser.add_argument(
            "--ca",
            default="",
            metavar="FILE",
            help="certificate authorities (PEM) that they trust beside the known ones",
        )
        parser.add_argument("--label", default="", help="numbered if there are several")
        parser.add_argument(
            "--priority",
            type=int,
            metavar="N",
            help=f"0 to {LAST_PRIORITY}; accounts with a lower number are asked first",
        )
        parser.add_argument(
            "--test",
            action="store_true",
            help="ask the provider with each; Gemini CLI logins are always tested",
        )

    def handle(self, **options: Any) -> None:
        kind = options["kind"]
        try:
            where = Where(
                base_url=options["base_url"],
                proxy_url=options["proxy"],
                ca_pem=_authorities(options["ca"]),
                label=options["label"],
                priority=options["priority"],
            )
            result = import_data(kind, _read(options["file"]), where)
        except ValueError as error:
            raise CommandError(str(error)) from error
        self._report(result)
        if result.malformed and not (result.added or result.replaced):
            raise CommandError("Nothing was added.")
        if KINDS[kind].warning and result.added:
            self.stdout.write(f"note       {KINDS[kind].warning}")
        self._test(kind, [*result.added, *result.replaced], ask=options["test"])

    def _test(self, kind: str, accounts: list[Account], *, ask: bool) -> None:
        tested = try_new(kind, accounts)
        if ask and not tested:
            for account in accounts:
                account.refresh_from_db()
            tested = list(zip(accounts, try_accounts(accounts), strict=True))
        for account, verdict in tested:
            self.stdout.write(
                f"{_word(account, verdict):<9}  {account}: {verdict.text}"
            )

    def _report(self, result: ImportResult) -> None:
        for account in result.added:
            self.stdout.write(
                f"added      {account.secret_hint}  {account.label}".rstrip()
            )
        for account in result.replaced:
            self.stdout.write(f"replaced   {account.secret_hint}  {account.label}")
        for hint in result.duplicates:
            self.stdout.write(f"duplicate  {hint}  is in the pool already")
        for entry in result.malformed:
            self.stdout.write(
                f"malformed  line {entry.line}: {entry.shown}  {entry.reason}"
            )
        self.stdout.write(
            f"{len(result.added)} added, {len(result.duplicates)} duplicates, "
            f"{len(result.malformed)} malformed"
        )


def _word(account: Account, verdict: Tested) -> str:
    """Return how a test ended; an account may merely not be proved yet."""
    if verdict.passed:
        return "works"
    return "not yet" if account.state in Account.USABLE else "fails"


def _read(path: str) -> bytes:
    """Return what is in a file, or what comes by the standard input: any bytes."""
    if path == STANDARD_INPUT:
        return sys.stdin.buffer.read()
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error}.") from error


def _authorities(path: str) -> str:
    if not path:
        return ""
    text = _read(path).decode("ascii", "replace")
    if not text.strip():
        raise CommandError(f"{path} is empty: there is no certificate in it.")
    return text
