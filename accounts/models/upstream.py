"""Upstream accounts: one credential each that can answer requests."""

import hashlib
import hmac
from typing import Self

from django.conf import settings
from django.db import IntegrityError, models, transaction

from accounts.models.changes import Watched
from gemproxy.lib import clock
from gemproxy.lib.redaction import shorten
from gemproxy.lib.secrets import SealedField


def fingerprint(kind: str, secret: str, key: str = "") -> str:
    """Return a keyed hash by which the same credential is recognised again."""
    pepper = (key or settings.SECRET_KEY).encode()
    return hmac.new(pepper, f"{kind}:{secret}".encode(), hashlib.sha256).hexdigest()


def fingerprints(kind: str, secret: str) -> list[str]:
    """Return the hashes under which a credential may be stored already."""
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return [fingerprint(kind, secret, key) for key in keys]


class Account(Watched):
    """A credential of the operator's at a provider."""

    topic = "account"

    class Kind(models.TextChoices):
        GEMINI_API = "gemini_api", "Gemini API key"

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
        blank=True, help_text="Empty: GEMINI_BASE_URL, else Google's own address."
    )
    proxy_url = SealedField(
        blank=True,
        default="",
        help_text="Egress proxy of this account, http:// or socks5://. Kept encrypted.",
    )
    state = models.CharField(max_length=20, choices=State, default=State.NEW)
    state_cause = models.CharField(max_length=60, blank=True, editable=False)
    state_advice = models.CharField(max_length=300, blank=True, editable=False)
    state_since = models.DateTimeField(default=clock.now, editable=False)
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
        self.secret_hint = shorten(secret)
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

    def move(self, state: str, *, cause: str = "", advice: str = "") -> bool:
        """Change the state and remember why; return False if it was so already."""
        if self.state == state and self.state_cause == cause:
            return False
        with transaction.atomic():
            self.state, self.state_cause, self.state_advice = state, cause, advice
            self.state_since = clock.now()
            self.save(
                update_fields=["state", "state_cause", "state_advice", "state_since"]
            )
            self.events.create(state=state, cause=cause, advice=advice)
        return True


class AccountEvent(models.Model):
    """Why an account's state changed, and when."""

    account = models.ForeignKey(
        Account, on_delete=models.CASCADE, related_name="events"
    )
    # The account's page lists its latest events first.
    at = models.DateTimeField(auto_now_add=True, db_index=True)
    state = models.CharField(max_length=20)
    cause = models.CharField(max_length=60, blank=True)
    advice = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-at"]

    def __str__(self) -> str:
        return f"{self.state} {self.cause}".strip()
