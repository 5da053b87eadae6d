"""API tokens as rows: only a keyed hash and the first characters are kept."""

import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from accounts import tokens
from accounts.models.changes import Watched, WatchedQuerySet
from gemproxy.lib import clock


class TokenQuerySet(WatchedQuerySet):
    def usable(self, now: datetime.datetime) -> Self:
        """Tokens that open the door at ``now``."""
        return self.filter(
            Q(expires_at=None) | Q(expires_at__gt=now),
            revoked_at=None,
            user__is_active=True,
        )


class Token(Watched):
    """The right of a person's program to call the API."""

    topic = "token"

    class Scope(models.TextChoices):
        API = "api", "API: models and own usage"
        OPERATOR = "operator", "Operator: also the operator endpoints"

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="tokens"
    )
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=16, editable=False)
    # Every request that misses the cache looks its token up by this hash.
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scope = models.CharField(max_length=10, choices=Scope, default=Scope.API)
    plan = models.ForeignKey(
        "accounts.Plan",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        help_text="Empty: the owner's plan, else the default plan.",
    )
    remove_mark = models.BooleanField(
        "remove the corner mark",
        null=True,
        blank=True,
        help_text="From pictures made for this token. Unknown: as the route says.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = TokenQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @classmethod
    def issue(cls, *, text: str | None = None, **fields: object) -> tuple[Self, str]:
        """Make a token; return the row and the text, which is shown only now.

        Raises ValueError for an operator token of somebody who is not staff.
        """
        text = text or tokens.make()
        token = cls(
            prefix=tokens.prefix(text),
            digest=tokens.digest(text, settings.SECRET_KEY),
            **fields,
        )
        if token.scope == cls.Scope.OPERATOR and not token.user.is_staff:
            raise ValueError("Only staff users may hold an operator token.")
        token.save()
        return token, text

    @property
    def state(self) -> str:
        """One of active, revoked, expired."""
        if self.revoked_at:
            return "revoked"
        if self.expires_at and self.expires_at <= clock.now():
            return "expired"
        return "active"

    def revoke(self) -> None:
        """Close the door for this token, in every process within a second."""
        if not self.revoked_at:
            self.revoked_at = clock.now()
            self.save(update_fields=["revoked_at"])
