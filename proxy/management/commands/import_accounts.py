"""`manage.py import_accounts`: upstream credentials from a file or the standard input."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import Account
from proxy.admin.probe import try_account
from proxy.importing import import_data
from proxy.imports import ImportResult
from proxy.upstreams.kinds import KINDS

STANDARD_INPUT = "-"


class Command(BaseCommand):
    """Add accounts to the pool, one credential a line."""

    help = (
        "Add upstream accounts: one credential per line, # starts a comment. Gemini CLI"
        " logins are JSON, as many as there are, or a zip of such files."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("kind", metavar="KIND", choices=sorted(KINDS))
        parser.add_argument("file", metavar="FILE", help="a path, or - for the input")
        parser.add_argument("--base-url", default="", help="instead of Google's own")
        parser.add_argument(
            "--proxy", default="", help="egress proxy of these accounts"
        )
        parser.add_argument("--label", default="", help="numbered if there are several")
        parser.add_argument(
            "--test", action="store_true", help="ask the provider with each new one"
        )

    def handle(self, **options: Any) -> None:
        try:
            result = import_data(
                options["kind"],
                _read(options["file"]),
                base_url=options["base_url"],
                proxy_url=options["proxy"],
                label=options["label"],
            )
        except ValueError as error:
            raise CommandError(str(error)) from error
        self._report(result)
        if result.malformed and not (result.added or result.replaced):
            raise CommandError("Nothing was added.")
        warning = KINDS[options["kind"]].warning
        if warning and result.added:
            self.stdout.write(f"note       {warning}")
        if options["test"]:
            self._test([*result.added, *result.replaced])

    def _test(self, accounts: list[Account]) -> None:
        for account in accounts:
            account.refresh_from_db()
            tested = try_account(account)
            word = "works" if tested.passed else "fails"
            self.stdout.write(f"{word}      {account}: {tested.text}")

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


def _read(path: str) -> bytes | str:
    """Return what is in a file, or the text of the standard input."""
    if path == STANDARD_INPUT:
        return sys.stdin.read()
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error}.") from error
