"""How the cookies of a web account fare, in words for its page in the admin."""

import datetime

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts import websessions
from accounts.admin.displays import NOTHING, ago
from accounts.credentials.websession import (
    ALIVE,
    CLAIMED,
    ROTATED,
    UNCHANGED,
    WebSession,
    forecast,
)
from accounts.models import Account
from gemproxy.lib.secrets import SecretUnreadable
from proxy.wire.causes import cause_of

_RESULTS = {
    "": "not yet",
    ROTATED: "Google gave a new value",
    UNCHANGED: "Google gave no new value",
    ALIVE: "still signed in",
    CLAIMED: "under way",
}


def renewal(account: Account) -> str | SafeString:
    """Return the age of the cookies, how the last renewal went, and the forecast."""
    try:
        session = websessions.session_of(account)
    except (ValueError, SecretUnreadable):
        return NOTHING
    rows = [
        ("Pasted", _when(session.pasted_at)),
        ("Renewed", _when(session.rotated_at)),
        ("Last try", format_html("{}: {}", _when(session.tried_at), _result(session))),
        ("Signed in", _look(session)),
        ("Forecast", forecast(session)),
    ]
    lines = format_html_join("", "<div><b>{}</b> {}</div>", rows)
    return format_html('<div class="gp-lines">{}</div>', lines)


def _result(session: WebSession) -> str:
    known = _RESULTS.get(session.result)
    if known is None:
        known = cause_of(session.result, of_account=True).meaning
    if session.failures > 1:
        return f"{known} ({session.failures} times in a row)"
    return known


def _look(session: WebSession) -> str | SafeString:
    """Return what the site's page told when nobody had used the account for long."""
    if not session.check:
        return "not looked at while idle yet"
    meaning = "yes, when last looked at while idle"
    if session.check != ALIVE:
        meaning = cause_of(session.check, of_account=True).meaning
    return format_html("{}: {}", _when(session.checked_at), meaning)


def _when(seconds: float) -> str | SafeString:
    if not seconds:
        return "never"
    return ago(datetime.datetime.fromtimestamp(seconds, datetime.UTC))
