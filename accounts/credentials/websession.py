"""What is kept of a gemini.google.com session: its cookies, sealed, and their history.

Pure: texts and numbers in, texts and numbers out. Times are epoch seconds.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from accounts.credentials.cookies import WebCookies, read_cookie_object, read_cookies

#: Google gives a new value about every ten minutes; the site's own page asks as often.
ROTATE_SECONDS: Final = 540.0
#: Without the cookie that rotates there is only a sign of life to give.
CHECK_SECONDS: Final = 1800.0
#: A claim whose owner has died is free again after so many seconds.
CLAIM_SECONDS: Final = 120.0

#: Google may refuse once who asks too early: only a second refusal counts.
RETRY_SECONDS: Final = 60.0
REFUSED: Final = "cookies_expired"
MOST_REFUSALS: Final = 2

ROTATED: Final = "rotated"
UNCHANGED: Final = "no_new_value"
ALIVE: Final = "alive"
CLAIMED: Final = "claimed"

_TIMES = ("pasted_at", "rotated_at", "tried_at", "checked_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSession:
    """The session of an account; a time of 0 means never.

    ``version`` grows whenever the cookies change, and only then. ``result`` says how
    the last rotation ended, ``failures`` how many in a row brought nothing new;
    ``check`` says what the site's page told last at ``checked_at``, ``refusals`` how
    often in a row that it knows the account no more. ``source`` is a hash of the
    cookies that the environment gave.
    """

    cookies: WebCookies
    version: int = 1
    pasted_at: float = 0.0
    rotated_at: float = 0.0
    tried_at: float = 0.0
    result: str = ""
    failures: int = 0
    checked_at: float = 0.0
    check: str = ""
    refusals: int = 0
    source: str = ""

    def secret(self) -> str:
        """Return the text to seal."""
        return json.dumps({"version": self.version, "cookies": self.cookies.named()})

    def facts(self) -> dict[str, Any]:
        """Return what may be shown."""
        return {
            "pasted_at": self.pasted_at,
            "rotated_at": self.rotated_at,
            "tried_at": self.tried_at,
            "result": self.result,
            "failures": self.failures,
            "checked_at": self.checked_at,
            "check": self.check,
            "refusals": self.refusals,
            "source": self.source,
        }

    def is_due(self, now: float) -> bool:
        """Tell whether the cookies should be rotated, or shown to be alive, now."""
        if self.result == CLAIMED:
            return now - self.tried_at >= CLAIM_SECONDS
        pause = ROTATE_SECONDS if self.cookies.psidts else CHECK_SECONDS
        if self.result == REFUSED and self.failures < MOST_REFUSALS:
            pause = RETRY_SECONDS
        return now - max(self.pasted_at, self.rotated_at, self.tried_at) >= pause

    def is_unheard_of(self, now: float, used_at: float) -> bool:
        """Tell whether nothing has shown for long that the account is signed in.

        An answer shows it, at ``used_at``, and a new value. A rotation that brings
        none does not: Google gives the same answer when the session is over. Without
        the cookie that rotates each rotation is a look at the page already.
        """
        if not self.cookies.psidts:
            return False
        pause = RETRY_SECONDS if 0 < self.refusals < MOST_REFUSALS else CHECK_SECONDS
        shown = max(self.pasted_at, self.rotated_at, self.checked_at, used_at)
        return now - shown >= pause

    def looked_at(self, now: float) -> "WebSession":
        """Return it with the note that somebody looks at the page now."""
        return replace(self, checked_at=now)

    def checked(self, result: str, now: float) -> "WebSession":
        """Return it with what the site's page told."""
        refusals = self.refusals + 1 if result == REFUSED else 0
        return replace(self, check=result, checked_at=now, refusals=refusals)

    def claimed(self, now: float) -> "WebSession":
        """Return it with the note that somebody rotates it now."""
        return replace(self, tried_at=now, result=CLAIMED)

    def rotated(self, cookies: WebCookies, now: float) -> "WebSession":
        """Return it with what a rotation brought; the version grows if it is new."""
        if cookies.psidts == self.cookies.psidts:
            return self.noted(UNCHANGED if self.cookies.psidts else ALIVE, now)
        return replace(
            self,
            cookies=cookies,
            version=self.version + 1,
            rotated_at=now,
            tried_at=now,
            result=ROTATED,
            failures=0,
        )

    def noted(self, result: str, now: float) -> "WebSession":
        """Return it with the note how a rotation ended that brought nothing new."""
        failures = 0 if result == ALIVE else self.failures + 1
        return replace(self, result=result, failures=failures, tried_at=now)

    def replaced(
        self, cookies: WebCookies, now: float, source: str = ""
    ) -> "WebSession":
        """Return it with cookies that a person gave, and a history that begins anew."""
        return WebSession(
            cookies=cookies, version=self.version + 1, pasted_at=now, source=source
        )


def load_session(secret: str, facts: Mapping[str, Any] | None = None) -> WebSession:
    """Return what was kept; raises ValueError for any other text."""
    data = json.loads(secret)
    if not isinstance(data, dict) or not isinstance(data.get("cookies"), dict):
        raise ValueError("not the sealed text of a session")
    known = facts or {}
    times = {name: float(known.get(name) or 0.0) for name in _TIMES}
    return WebSession(
        cookies=read_cookie_object(data["cookies"]),
        version=int(data.get("version") or 1),
        **times,
        result=str(known.get("result") or ""),
        failures=int(known.get("failures") or 0),
        check=str(known.get("check") or ""),
        refusals=int(known.get("refusals") or 0),
        source=str(known.get("source") or ""),
    )


def session_secret(pasted: str) -> str:
    """Return the text to seal for pasted cookies, or for such a text itself.

    Raises ValueError with words for the person who pasted it.
    """
    try:
        return load_session(pasted).secret()
    except (ValueError, RecursionError):
        return WebSession(cookies=read_cookies(pasted)).secret()


def session_identity(secret: str) -> str:
    """Return what stays the same while the cookies of a session rotate."""
    return load_session(secret).cookies.psid


def session_hint(secret: str) -> str:
    """Return a shortened name of a session, safe to show."""
    psid = session_identity(secret)
    return f"{psid[:4]}…{psid[-4:]}" if len(psid) >= 24 else "…"


def source_of(cookies: WebCookies) -> str:
    """Return a hash by which the same given cookies are recognised again."""
    text = json.dumps(cookies.named(), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def forecast(session: WebSession) -> str:
    """Return in plain words how long the cookies may last."""
    if session.result == ROTATED:
        return "Renewed by itself; such sessions last a week to two months."
    if not session.cookies.psidts:
        return "Without __Secure-1PSIDTS nothing renews them; they may end any day."
    if session.failures >= 3:
        seen = " They still worked at the last look." if session.check == ALIVE else ""
        return (
            "Google gives no new value, as for sessions bound to a device: expect "
            f"them to end within hours.{seen} Cookies from Firefox last longer."
        )
    return "Not renewed yet: the first renewal comes ten minutes after pasting."
