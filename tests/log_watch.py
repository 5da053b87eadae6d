"""No test may let a secret into a log: every record and every process's log is read.

A record of any logger is read at every level as our formatter would write it; one of
our own loggers also as it was made, because redaction is only the second net. What a
process wrote is read line by line when it has ended. A hit fails the test in which it
happened; a test that logs a secret on purpose has the mark ``logs_secrets``.
"""

import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from gemproxy.lib.redaction import RedactingFormatter

#: What the sandbox and the tests issue, by kind.
SECRETS = {
    "session cookie": r"g\.a000[A-Za-z0-9_\-]{40,}",
    "rotating cookie": r"sidts-[A-Za-z0-9_\-]{12,}",
    "third cookie": r"AKEy[A-Za-z0-9_\-]{8,}",
    "page token": r"AJ[0-9a-f]{32}:1700000000000",
    "API key": r"AIzaSy[A-Za-z0-9_\-]{33}",
    "xAI key": r"xai-[A-Za-z0-9\-]{60,}",
    "refresh token": r"1//0[A-Za-z0-9_\-]{16,}",
    "access token": r"ya29\.[A-Za-z0-9_.\-]{16,}",
    "sign-in code": r"4(?:/|%2F)0A[A-Za-z0-9_\-]{16,}",
    "client secret": r"sandbox-client-secret|GOCSPX-[A-Za-z0-9_\-]{16,}",
    "gateway token": r"gp-[0-9A-Za-z]{32,}",
    "password": r"correct horse|river-otter-42-lamp",
    "key of the tests": r"only-for-tests-k{8,}|T0hmdlQ1bXd4M2Jn",
}
_ANY = re.compile(
    "|".join(
        f"(?P<k{number}>{pattern})" for number, pattern in enumerate(SECRETS.values())
    )
)
_NAMES = tuple(SECRETS)
_OURS = ("gemproxy", "accounts", "proxy", "imaging")
#: The imitation of the providers is not what is under test.
_NOT_OURS = ("proxy.sandbox",)
#: To write what a template lacks, Django asks the database for all that it was given:
#: tests that count queries would count those.
_ASKS = "django.template"
#: How a line of ours begins: what a command prints for people is no log.
_LOG_LINE = re.compile(r"""\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d|Traceback|  File "| {4}""")
#: What these write is meant for people, but for lines that look like a log's.
_TALKERS = ("demo", "sandbox", "create_token")


@dataclass(frozen=True)
class Hit:
    """A secret in a log: where, of what kind, and its first letters."""

    where: str
    kind: str
    begins: str

    def __str__(self) -> str:
        return f"{self.kind} ({self.begins}…) in {self.where}"


def secrets_in(text: str, where: str) -> Iterator[Hit]:
    """Yield the secrets in a text, shortened."""
    for found in _ANY.finditer(text):
        kind = _NAMES[int((found.lastgroup or "k0")[1:])]
        yield Hit(where, kind, found[0][:6])


class Watch:
    """Reads what is logged in this process; ``hits`` are those nobody was told of."""

    def __init__(self) -> None:
        self.hits: list[Hit] = []
        self.paused = False
        self.records = self.files = 0
        self._formatter = RedactingFormatter("%(name)s %(message)s")
        self._plain = logging.Formatter("%(name)s %(message)s")

    def see(self, record: logging.LogRecord) -> None:
        """Read a record, whatever its level."""
        self.records += 1
        if self.paused or record.name == _ASKS:
            return
        where = f"a record of {record.name}"
        self._keep(secrets_in(self._formatter.format(record), where))
        if _is_ours(record.name):
            self._keep(secrets_in(self._plain.format(record), where))

    def read(self, text: str, where: str, words: Iterable[str] = ()) -> None:
        """Read what a process wrote that was started with some words."""
        self.files += 1
        if self.paused:
            return
        talks = any(word in _TALKERS for word in words)
        for line in text.splitlines():
            if not talks or _LOG_LINE.match(line):
                self._keep(secrets_in(line, where))

    def take(self) -> list[Hit]:
        """Return the hits, and forget them."""
        found, self.hits = self.hits, []
        return found

    def install(self, patch: Any) -> None:
        """See every record that is made from now on.

        No logger's level changes: what was not enabled goes no further than here.
        """
        enabled = logging.Logger.isEnabledFor
        handle = logging.Logger.callHandlers

        def call_handlers(logger: logging.Logger, record: logging.LogRecord) -> None:
            self.see(record)
            if enabled(logger, record.levelno):
                handle(logger, record)

        patch.setattr(logging.Logger, "isEnabledFor", lambda logger, level: True)
        patch.setattr(logging.Logger, "callHandlers", call_handlers)

    def install_loguru(self) -> None:
        """See what loguru is told, which the web package uses."""
        import loguru

        def see(message: Any) -> None:
            self._keep_loguru(str(message), str(message.record["name"]))

        loguru.logger.add(see, level="TRACE", format="{message}\n{exception}")

    def _keep_loguru(self, text: str, name: str) -> None:
        self.records += 1
        if not self.paused:
            self._keep(secrets_in(text, f"a record of {name}"))

    def _keep(self, found: Iterable[Hit]) -> None:
        self.hits += [hit for hit in found if hit not in self.hits]


def _is_ours(name: str) -> bool:
    if any(name == each or name.startswith(f"{each}.") for each in _NOT_OURS):
        return False
    return name.partition(".")[0] in _OURS


watch = Watch()
