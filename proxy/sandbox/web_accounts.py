"""The signed-in people of the imitated site: their cookies, and how each one fares."""

import re
import uuid
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from proxy.sandbox.web_talks import Talks

PSID, PSIDTS, PSIDCC = "__Secure-1PSID", "__Secure-1PSIDTS", "__Secure-1PSIDCC"
_FORM = re.compile(r"g\.a000[A-Za-z0-9_\-]{40,}")
_ENCODED = re.compile(r"g\.a000Sandbox-([a-z0-9]+)-(\d{6})x*")
_LENGTH = 60
_KEPT = 500

#: What the site answers to a prompt instead of an answer, as its error codes.
ERROR_CODES = {
    "temporary": 1013,
    "limit": 1037,
    "mixed": 1050,
    "nomodel": 1052,
    "blocked": 1060,
    "distrusted": 1097,
}
#: Account states that the site reports at sign-in.
STATUSES = {
    "unavailable": 1014,
    "rejected": 1021,
    "untrusted": 1033,
    "terms": 1040,
    "oldterms": 1042,
    "guardian": 1054,
    "approval": 1057,
    "region": 1060,
}
_PAGES = {"pageblocked", "pagebroken", "pagedenied", "sorry", "blank", "headstall"}
_STREAMS = {
    "stall",
    "stallmid",
    "cut",
    "truncated",
    "garbage",
    "emptybody",
    "queue",
    "refusal",
    "silentflash",
    "http400",
    "http429",
    "http500",
    "slow",
}
_SESSIONS = {"expired", "expiring", "guest", "nomodels", "rpcbroken", "rpchang"}
#: The last two give a new cookie and never say so; one takes the old one back at once.
_ROTATIONS = {
    "rotate401",
    "rotate429",
    "rotate500",
    "rotatesame",
    "rotatestall",
    "rotatehold",
    "rotateburn",
}
_MEDIA = {"nofull", "nomedia", "oldmark", "nomark"}
NAMES = frozenset(
    {
        "ok",
        *ERROR_CODES,
        *STATUSES,
        *_PAGES,
        *_STREAMS,
        *_SESSIONS,
        *_ROTATIONS,
        *_MEDIA,
    }
)


def sandbox_psid(behaviour: str = "ok", n: int = 1) -> str:
    """A ``__Secure-1PSID`` whose account shows ``behaviour``; ``n`` numbers it."""
    if behaviour not in NAMES:
        raise ValueError(f"unknown behaviour {behaviour!r}")
    return f"g.a000Sandbox-{behaviour}-{n:06d}".ljust(_LENGTH, "x")


def sandbox_psidts(psid: str, revision: int = 1) -> str:
    """The ``__Secure-1PSIDTS`` that goes with it; ``revision`` counts rotations."""
    mark = uuid.uuid5(uuid.NAMESPACE_URL, f"{psid} {revision}").hex
    return f"sidts-Sandbox{revision:04d}-{mark}"


def label(psid: str) -> str:
    """A name for an account that is safe to show."""
    match = _ENCODED.fullmatch(psid)
    return f"{match[1]}-{match[2]}" if match else "…"


@dataclass
class Person:
    """A signed-in account. ``revision`` is the newest cookie it was given."""

    psid: str
    behaviour: str = "ok"
    times: int | None = None
    revision: int = 1
    answers: int = 0
    signed_out: bool = False
    only_newest: bool = False
    uploads: dict[str, tuple[str, str, bytes]] = field(default_factory=dict)
    talks: Talks = field(default_factory=Talks)

    @property
    def token(self) -> str:
        """The page's access token, which every call has to show."""
        mark = uuid.uuid5(uuid.NAMESPACE_URL, self.psid).hex
        return f"AJ{mark}:1700000000000"

    def does(self, name: str) -> bool:
        """Whether it shows this behaviour now."""
        return self.behaviour == name and self.times != 0

    def spend(self) -> str:
        """Return the behaviour for one prompt, and count it."""
        self.answers += 1
        if self.times == 0:
            return "ok"
        if self.times is not None:
            self.times -= 1
        return self.behaviour

    def accepts(self, psidts: str) -> bool:
        """Whether the second cookie is the newest or the one before, or missing.

        With ``only_newest`` the one before is over.
        """
        known = (self.revision, self.revision - (not self.only_newest))
        return not psidts or psidts in (sandbox_psidts(self.psid, n) for n in known)


class People:
    """All accounts; one comes to be when its well-formed cookie is seen first."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._people: dict[str, Person] = {}
        self.counts: Counter[str] = Counter()
        self.requests: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self.open_streams = 0
        self.cancelled = 0
        self.media: dict[str, bytes] = {}

    def find(self, cookies: Mapping[str, str]) -> Person | None:
        """Return whose session these cookies are; ``None`` for a stranger's."""
        psid = cookies.get(PSID, "")
        if not _FORM.fullmatch(psid):
            return None
        person = self.person(psid)
        out = person.signed_out or person.does("expired")
        return None if out or not person.accepts(cookies.get(PSIDTS, "")) else person

    def person(self, psid: str) -> Person:
        """Return the account of a cookie, whatever state it is in."""
        if psid not in self._people:
            match = _ENCODED.fullmatch(psid)
            name = match[1] if match and match[1] in NAMES else "ok"
            self._people[psid] = Person(psid, name)
        return self._people[psid]

    def everybody(self) -> Iterable[Person]:
        """Return all accounts that were seen."""
        return self._people.values()

    def tell(self, wish: Mapping[str, Any]) -> Person:
        """Set an account's behaviour from ``{"psid", "behaviour", "times"}``.

        Raises ``ValueError`` for a wish that cannot be followed.
        """
        psid, name, times = wish.get("psid"), wish.get("behaviour"), wish.get("times")
        if not isinstance(psid, str) or not _FORM.fullmatch(psid):
            raise ValueError("psid is missing or malformed")
        if name not in NAMES:
            raise ValueError(f"unknown behaviour {name!r}")
        if times is not None and (type(times) is not int or times < 0):
            raise ValueError("times must be a whole number")
        person = self.person(psid)
        person.behaviour, person.times, person.signed_out = name, times, False
        return person

    def stats(self) -> dict[str, Any]:
        """The counters."""
        return {
            "counts": dict(self.counts),
            "open_streams": self.open_streams,
            "cancelled": self.cancelled,
            "answers": {label(p.psid): p.answers for p in self._people.values()},
            "revisions": {label(p.psid): p.revision for p in self._people.values()},
            "talks": {label(p.psid): len(p.talks) for p in self._people.values()},
        }
