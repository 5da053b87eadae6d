"""What the admin shows of a Google account behind a login: who, where, as what."""

import datetime
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts.admin.displays import NOTHING, ago
from accounts.models import Account
from proxy.scheduling.credentials import shown_facts
from proxy.upstreams.kinds import KINDS

_ROWS = (
    ("E-mail", "email"),
    ("Tier", "tier_name"),
    ("Tier id", "tier"),
    ("Project", "project"),
)
MOST_MODELS = 40


def facts_table(account: Account) -> SafeString:
    """Return what is known of the account, obstacles and the kind's warning below."""
    facts = shown_facts(account)
    rows: list[tuple[str, Any]] = [(t, facts.get(n) or NOTHING) for t, n in _ROWS]
    rows.append(("Models", _models(facts.get("models"))))
    rows.append(("Looked at", _when(facts.get("checked_at"))))
    table = format_html(
        '<table class="gp-table"><tbody>{}</tbody></table>',
        format_html_join("", "<tr><th>{}</th><td>{}</td></tr>", rows),
    )
    closed = [str(text)[:300] for text in facts.get("ineligible") or []]
    notes = [*closed, KINDS[account.kind].warning]
    return format_html(
        "{}{}",
        table,
        format_html_join("", '<p class="gp-second">{}</p>', ((n,) for n in notes if n)),
    )


def _models(names: Any) -> str:
    if not isinstance(names, list) or not names:
        return NOTHING
    more = len(names) - MOST_MODELS
    shown = ", ".join(str(name) for name in names[:MOST_MODELS])
    return f"{shown} and {more} more" if more > 0 else shown


def _when(text: Any) -> str | SafeString:
    try:
        return ago(datetime.datetime.fromisoformat(str(text)))
    except ValueError:
        return "not yet: use “Test now”"
