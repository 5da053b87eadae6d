"""The usage log with what only the gateway can tell: who was asked, and who was not."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts.admin.displays import NOTHING, badge, milliseconds, two_lines
from accounts.admin.usage import UsageAdmin
from accounts.models import Account, UsageRecord
from proxy.admin.candidates import Question, account_link, meaning, tone
from proxy.admin.explain import ExplainedAdmin
from proxy.wire.causes import cause_of

MOST_ATTEMPTS = 100
_BLAMES = {
    "account": "The account",
    "model": "The model",
    "egress": "The way out",
    "upstream": "The provider",
    "caller": "The caller",
    "gateway": "The gateway",
}
#: How attempts end that nobody is to blame for.
_LEFT = ("client_closed", "sibling_failed")
_NEEDS = {
    "embedContent": "embeddings",
    "batchEmbedContents": "embeddings",
    "countTokens": "count_tokens",
}
# The words in which Google counts a request's and an answer's parts.
_SENT = {
    "IMAGE": "images_in",
    "AUDIO": "audio_in",
    "VIDEO": "video_in",
    "DOCUMENT": "files_in",
}
_MADE = {"IMAGE": "images_out", "AUDIO": "audio_out"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt of a request, ready to be shown."""

    number: int
    account: str | SafeString
    model: str
    why: str
    start: str
    length: str
    outcome: str | SafeString
    blame: str


@dataclass(frozen=True, slots=True)
class Passed:
    """The accounts that were passed over for one reason, some of them by name."""

    count: int
    reason: str
    tone: str
    accounts: str | SafeString


@admin.register(UsageRecord)
class RequestAdmin(ExplainedAdmin, UsageAdmin):
    """A request's page begins with its attempts and the decision about it."""

    change_form_outer_before_template = "admin/accounts/usagerecord/attempts.html"

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        row = self.get_object(request, object_id) if object_id else None
        told = {} if row is None else story(row)
        context = {**(extra_context or {}), **told}
        return super().changeform_view(request, object_id, form_url, context)

    def question(self, row: UsageRecord) -> Question:
        return Question(
            model=row.model_asked,
            needs=needs_of(row),
            tried=_tried(row),
            at=row.started_at,
        )


def story(row: UsageRecord) -> dict[str, Any]:
    """Return a request's attempts and whom it passed over, in one query."""
    attempts, decision = _attempts(row), _decision(row)
    keys = {attempt.get("account") for attempt in attempts}
    for _, entry in decision:
        keys.update(entry.get("accounts", ()))
    labels = _labels(keys)
    return {
        "attempts": [
            _shown(number, attempt, labels)
            for number, attempt in enumerate(attempts[:MOST_ATTEMPTS], 1)
        ],
        "more_attempts": max(0, len(attempts) - MOST_ATTEMPTS),
        "passed_over": [_passed(reason, entry, labels) for reason, entry in decision],
    }


def needs_of(row: UsageRecord) -> frozenset[str]:
    """Return the capabilities that a request is known to have needed.

    Its body is not kept, so this is what its method and the provider's count show.
    """
    words = {_NEEDS[row.method]} if row.method in _NEEDS else set()
    if row.images:
        words.add("images_out")
    words.update(_counted(row, "promptTokensDetails", _SENT))
    words.update(_counted(row, "candidatesTokensDetails", _MADE))
    return frozenset(words)


def _counted(row: UsageRecord, name: str, words: dict[str, str]) -> Iterator[str]:
    usage = row.usage_metadata if isinstance(row.usage_metadata, dict) else {}
    details = usage.get(name)
    for part in details if isinstance(details, list) else []:
        modality = part.get("modality") if isinstance(part, dict) else None
        if isinstance(modality, str) and modality in words:
            yield words[modality]


def _attempts(row: UsageRecord) -> list[dict[str, Any]]:
    found = row.attempts if isinstance(row.attempts, list) else []
    return [attempt for attempt in found if isinstance(attempt, dict)]


def _decision(row: UsageRecord) -> list[tuple[str, dict[str, Any]]]:
    """Return the stored reasons, the most frequent first."""
    found = row.decision if isinstance(row.decision, dict) else {}
    entries = [(key, entry) for key, entry in found.items() if isinstance(entry, dict)]
    return sorted(entries, key=lambda pair: (-pair[1].get("count", 0), pair[0]))


def _tried(row: UsageRecord) -> dict[int, str]:
    """Return how the last attempt on each account ended."""
    return {
        attempt["account"]: _ending(attempt)
        for attempt in _attempts(row)
        if isinstance(attempt.get("account"), int)
    }


def _labels(keys: Iterable[Any]) -> dict[int, str]:
    wanted = [key for key in keys if isinstance(key, int)]
    rows = Account.objects.only("label", "kind", "secret_hint").in_bulk(wanted)
    return {pk: str(account) for pk, account in rows.items()}


def _shown(number: int, attempt: dict[str, Any], labels: dict[int, str]) -> Attempt:
    return Attempt(
        number=number,
        account=_name(attempt.get("account"), labels),
        model=str(attempt.get("model", "")) or NOTHING,
        why=str(attempt.get("why", "")) or NOTHING,
        start=milliseconds(attempt.get("start_ms")),
        length=milliseconds(attempt.get("ms")),
        outcome=_outcome(attempt),
        blame=_blame(attempt),
    )


def _name(key: Any, labels: dict[int, str]) -> str | SafeString:
    """Return a link to an account, or the id of one that is gone."""
    if key not in labels:
        return NOTHING if key is None else f"#{key} (deleted)"
    return account_link(key, labels[key])


def _ending(attempt: dict[str, Any]) -> str:
    code = str(attempt.get("code", ""))
    if code == "ok":
        return "Answered"
    cause = str(attempt.get("cause") or code)
    return cause_of(cause, of_account=attempt.get("blame") == "account").meaning


def _outcome(attempt: dict[str, Any]) -> str | SafeString:
    code = str(attempt.get("code", ""))
    if not code:
        return NOTHING
    if code == "ok":
        return badge("Answered", "good")
    colour = "warn" if code in _LEFT else "bad"
    word = badge("Left" if code in _LEFT else "Failed", colour)
    cause = str(attempt.get("cause", ""))
    first = format_html("{} {}", word, _ending(attempt))
    return two_lines(first, f"{code}: {cause}" if cause else code)


def _blame(attempt: dict[str, Any]) -> str | SafeString:
    blame = str(attempt.get("blame", ""))
    who = _BLAMES.get(blame, blame) or NOTHING
    if not attempt.get("shared"):
        return who
    mark = badge(
        "Shared trouble",
        "info",
        "Several accounts failed alike: it is not held against this one",
    )
    return format_html("{} {}", mark, "" if who == NOTHING else who)


def _passed(reason: str, entry: dict[str, Any], labels: dict[int, str]) -> Passed:
    keys = entry.get("accounts", ())
    count = entry.get("count", len(keys))
    names = format_html_join(", ", "{}", ((_name(key, labels),) for key in keys))
    more = count - len(keys)
    if names and more > 0:
        names = format_html("{} and {} more", names, more)
    return Passed(count, meaning(reason), tone(reason), names or NOTHING)
