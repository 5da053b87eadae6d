"""Upstream accounts: one credential each that can answer requests."""

import datetime
import hashlib
import hmac
from typing import Self

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import IntegrityError, models, transaction

from accounts.credentials.identity import hint_of, identity_of
from accounts.models.changes import Watched, WatchedQuerySet
from gemproxy.lib import clock
from gemproxy.lib.redaction import shorten
from gemproxy.lib.secrets import SealedField

OPERATOR = "operator"
HEAVIEST = 1000
#: The largest number that every database keeps for a priority.
LAST_PRIORITY = 32_767
#: Where in an account's facts the history of its cookies is.
WEB_FACTS = "web"


class Happened(models.TextChoices):
    """What an event tells beside the states of an account."""

    RESTING = "resting", "Resting"
    RESTED = "rested", "Rest over"
    CLEARED = "cleared", "Cleared by hand"


def fingerprint(kind: str, secret: str, key: str = "") -> str:
    """Return a keyed hash by which the same credential is recognised again."""
    pepper = (key or settings.SECRET_KEY).encode()
    text = f"{kind}:{identity_of(kind, secret)}"
    return hmac.new(pepper, text.encode(), hashlib.sha256).hexdigest()


def fingerprints(kind: str, secret: str) -> list[str]:
    """Return the hashes under which a credential may be stored already."""
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return [fingerprint(kind, secret, key) for key in keys]


class Account(Watched):
    """A credential of the operator's at a provider."""

    topic = "account"

    class Kind(models.TextChoices):
        GEMINI_API = "gemini_api", "Gemini API key"
        GEMINI_WEB = "gemini_web", "Gemini web cookies"
        CODE_ASSIST = "code_assist", "Gemini CLI login"
        XAI = "xai", "xAI key"

    class State(models.TextChoices):
        NEW = "new", "New: not used yet"
        ACTIVE = "active", "Active"
        NEEDS_ATTENTION = "needs_attention", "Needs attention"
        DISABLED = "disabled", "Disabled"

    USABLE = (State.NEW, State.ACTIVE)

    kind = models.CharField(max_length=20, choices=Kind, default=Kind.GEMINI_API)
    label = models.CharField(max_length=80, blank=True)
    secret = SealedField(
        help_text="Stored encrypted and never shown again; leave empty to keep it."
    )
    secret_hint = models.CharField(max_length=24, editable=False)
    fingerprint = models.CharField(max_length=64, unique=True, editable=False)
    base_url = models.URLField(
        blank=True,
        help_text="Empty: the address set for its kind (GEMINI_BASE_URL, "
        "XAI_BASE_URL …), else the provider's own.",
    )
    proxy_url = SealedField(
        blank=True,
        default="",
        help_text="Egress proxy of this account, http:// or socks5://. Kept encrypted.",
    )
    ca_pem = models.TextField(
        "extra certificate authorities",
        blank=True,
        default="",
        help_text="PEM certificates that this account's connections trust beside the "
        "known authorities, for a proxy that opens TLS.",
    )
    state = models.CharField(max_length=20, choices=State, default=State.NEW)
    state_cause = models.CharField(max_length=60, blank=True, editable=False)
    state_advice = models.CharField(max_length=300, blank=True, editable=False)
    state_link = models.URLField(max_length=500, blank=True, editable=False)
    state_since = models.DateTimeField(default=clock.now, editable=False)
    priority = models.PositiveSmallIntegerField(
        default=0, help_text="Accounts with a lower number are asked first."
    )
    weight = models.PositiveSmallIntegerField(
        default=100,
        validators=[MinValueValidator(1), MaxValueValidator(HEAVIEST)],
        help_text="Its share among accounts of the same priority, 1 to 1000.",
    )
    concurrency = models.PositiveSmallIntegerField(
        default=0, help_text="Requests at the same moment; 0 for no bound."
    )
    rpm = models.PositiveIntegerField(
        "requests per minute",
        null=True,
        blank=True,
        help_text="Of each model. Empty: what the provider's answers taught, "
        "else what the tier allows.",
    )
    tpm = models.PositiveIntegerField(
        "input tokens per minute", null=True, blank=True, help_text="Of each model."
    )
    rpd = models.PositiveIntegerField(
        "requests per day",
        null=True,
        blank=True,
        help_text="Of each model, from midnight to midnight in California.",
    )
    tier = models.CharField(
        max_length=24, blank=True, help_text="free, tier_1 …; empty: unknown."
    )
    # What its kind found out about the account, such as a project or an e-mail.
    facts = models.JSONField(default=dict, editable=False)
    cleared_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["id"]
        verbose_name = "upstream account"

    def __str__(self) -> str:
        return self.label or f"{self.kind} {self.secret_hint}"

    def set_secret(self, secret: str) -> None:
        """Replace the credential (not saved)."""
        self.secret = secret
        self.secret_hint = hint_of(self.kind, secret) or shorten(secret)
        if self.kind == self.Kind.GEMINI_WEB:
            # The history of the cookies begins anew.
            since = {"pasted_at": clock.now().timestamp()}
            self.facts = {**self.facts, WEB_FACTS: since}
        self.fingerprint = fingerprint(self.kind, secret)

    @classmethod
    def add(cls, *, kind: str, secret: str, **fields: object) -> Self | None:
        """Store a credential; return None if it is in the pool already."""
        account = cls(kind=kind, **fields)
        account.set_secret(secret)
        known = cls.objects.filter(fingerprint__in=fingerprints(kind, secret))
        if known.exists():
            return None
        try:
            account.save()
        except IntegrityError:
            # Somebody added it between the question and the answer.
            return None
        return account

    def move(
        self,
        state: str,
        *,
        cause: str = "",
        advice: str = "",
        link: str = "",
        by: str = "",
    ) -> bool:
        """Change the state and remember why; return False if it was so already."""
        if self.state == state and self.state_cause == cause:
            return False
        with transaction.atomic():
            self.state, self.state_cause, self.state_advice = state, cause, advice
            self.state_link, self.state_since = link, clock.now()
            self.save(
                update_fields=[
                    "state",
                    "state_cause",
                    "state_advice",
                    "state_link",
                    "state_since",
                ]
            )
            self.events.create(state=state, cause=cause, advice=advice, by=by)
        return True

    def enable(self, by: str) -> bool:
        """Let it be used again; return False if it is in use."""
        if self.state in self.USABLE:
            return False
        return self.move(self.State.NEW, cause=f"enabled by {by}"[:60], by=by)

    def disable(self, by: str) -> bool:
        """Take it out until somebody enables it; return False if it is out."""
        if self.state == self.State.DISABLED:
            return False
        return self.move(
            self.State.DISABLED,
            cause=f"disabled by {by}"[:60],
            advice="Enable it again.",
            by=by,
        )

    def cool(self, until: datetime.datetime, by: str, cause: str = OPERATOR) -> None:
        """Let the whole account rest until then, whatever it rests for now."""
        since = clock.now()
        rest = {"cause": cause, "since": since, "until": until, "by": by}
        with transaction.atomic():
            self.cool_downs.update_or_create(
                model="", defaults={**rest, "strikes": 0, "evidence": "", "told": True}
            )
            self.events.create(state=Happened.RESTING, cause=cause, until=until, by=by)

    def clear(self, by: str) -> None:
        """End all rests and forget what was held against it; a disabled one stays so.

        Servers count its health anew from ``cleared_at``.
        """
        with transaction.atomic():
            for rest in self.cool_downs.all():
                rest.delete()
            self.cleared_at = clock.now()
            self.save(update_fields=["cleared_at"])
            self.events.create(state=Happened.CLEARED, cause=OPERATOR, by=by)
            if self.state == self.State.NEEDS_ATTENTION:
                self.move(self.State.ACTIVE, cause=f"cleared by {by}"[:60], by=by)


class CoolDownQuerySet(WatchedQuerySet):
    def running(self, now: datetime.datetime) -> Self:
        """Rests that are not over at ``now``."""
        return self.filter(until__gt=now)


class OfAccount(Watched):
    """A row about an account; the change feed names the account."""

    class Meta:
        abstract = True

    @property
    def change_key(self) -> object:
        return self.account_id


class CoolDown(OfAccount):
    """An account, or one model of it, is not used until a time."""

    topic = "cool_down"

    account = models.ForeignKey(
        Account, on_delete=models.CASCADE, related_name="cool_downs"
    )
    model = models.CharField(
        max_length=120, blank=True, help_text="Empty: the whole account."
    )
    cause = models.CharField(max_length=60)
    since = models.DateTimeField(default=clock.now)
    # Servers ask at their start, and the clean-up all the time, by this column.
    until = models.DateTimeField(db_index=True)
    strikes = models.PositiveSmallIntegerField(default=0)
    evidence = models.CharField(max_length=300, blank=True)
    by = models.CharField(max_length=150, blank=True)
    # An event says that it began, so another one will say that it is over.
    told = models.BooleanField(default=False)

    objects = CoolDownQuerySet.as_manager()

    class Meta:
        ordering = ["model"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "model"], name="one_cool_down_each"
            )
        ]

    def __str__(self) -> str:
        return f"{self.model or 'whole account'}: {self.cause}"


class LearnedLimit(OfAccount):
    """What the provider's answers said about the quotas of an account's model."""

    topic = "limit"

    account = models.ForeignKey(
        Account, on_delete=models.CASCADE, related_name="learned_limits"
    )
    model = models.CharField(max_length=120, blank=True)
    rpm = models.PositiveIntegerField("requests per minute", null=True)
    tpm = models.PositiveIntegerField("input tokens per minute", null=True)
    rpd = models.PositiveIntegerField("requests per day", null=True)
    # A hash: accounts with the same one draw on the same quotas.
    bucket = models.CharField(max_length=64, blank=True)
    learned_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["model"]
        constraints = [
            models.UniqueConstraint(fields=["account", "model"], name="one_limit_each")
        ]

    def __str__(self) -> str:
        return f"{self.model}: {self.rpm} a minute, {self.rpd} a day"


class AccountEvent(models.Model):
    """What happened to an account and why: a change of state, or a rest of it."""

    account = models.ForeignKey(
        Account, on_delete=models.CASCADE, related_name="events"
    )
    # The account's page lists its latest events first.
    at = models.DateTimeField(default=clock.now, db_index=True)
    # A state of the account, or one of Happened.
    state = models.CharField(max_length=20)
    model = models.CharField(max_length=120, blank=True)
    cause = models.CharField(max_length=60, blank=True)
    until = models.DateTimeField(null=True, blank=True)
    advice = models.CharField(max_length=300, blank=True)
    evidence = models.CharField(max_length=300, blank=True)
    by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return f"{self.state} {self.cause}".strip()
