"""`manage.py import_accounts`: upstream credentials from a file or the standard input."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from proxy.imports import ImportResult, import_secrets
from proxy.upstreams.kinds import KINDS

STANDARD_INPUT = "-"


class Command(BaseCommand):
    """Add accounts to the pool, one credential a line."""

    help = "Add upstream accounts: one credential per line, # starts a comment."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("kind", metavar="KIND", choices=sorted(KINDS))
        parser.add_argument("file", metavar="FILE", help="a path, or - for the input")
        parser.add_argument("--base-url", default="", help="instead of Google's own")
        parser.add_argument(
            "--proxy", default="", help="egress proxy of these accounts"
        )
        parser.add_argument("--label", default="", help="numbered if there are several")

    def handle(self, **options: Any) -> None:
        lines = _read(options["file"]).splitlines()
        try:
            result = import_secrets(
                options["kind"],
                lines,
                base_url=options["base_url"],
                proxy_url=options["proxy"],
                label=options["label"],
            )
        except ValueError as error:
            raise CommandError(str(error)) from error
        self._report(result)
        if result.malformed and not result.added:
            raise CommandError("Nothing was added.")

    def _report(self, result: ImportResult) -> None:
        for account in result.added:
            self.stdout.write(
                f"added      {account.secret_hint}  {account.label}".rstrip()
            )
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


def _read(path: str) -> str:
    """Return the text of a file or of the standard input, without a byte order mark."""
    if path == STANDARD_INPUT:
        return sys.stdin.read().removeprefix("\ufeff")
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read: {error}.") from error
