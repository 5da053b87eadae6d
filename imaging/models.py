"""Pictures as rows: what was made, from what, by whom, and where its bytes lie."""

import datetime
import re
import secrets
from typing import Self

from django.conf import settings
from django.db import models

from accounts.models.usage import loose
from gemproxy.lib import clock

LONGEST_PROMPT = 4000
NAME = re.compile(r"[0-9a-f]{40}")
EXTENSIONS = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "image/gif": "gif",
    "image/avif": "avif",
}


def new_name() -> str:
    """Return 160 random bits: who was not given the name cannot guess it."""
    return secrets.token_hex(20)


class Blob(models.Model):
    """Bytes in a storage, once for each storage, however many pictures have them.

    Its name there is random and used only once, so that what a clean-up deletes can
    never be what somebody has just stored again.
    """

    class State(models.TextChoices):
        WRITING = "writing", "Being written"
        STORED = "stored", "Stored"
        PENDING = "pending", "Kept here until the storage takes it"

    sha256 = models.CharField(max_length=64)
    storage = models.CharField(max_length=10)
    name = models.CharField(max_length=60, unique=True)
    state = models.CharField(max_length=10, choices=State, default=State.WRITING)
    media_type = models.CharField(max_length=20)
    size = models.PositiveIntegerField()
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    # The last time that somebody was about to refer to it.
    touched_at = models.DateTimeField(default=clock.now)
    tries = models.PositiveSmallIntegerField(default=0)
    try_again_at = models.DateTimeField(null=True)
    trouble = models.CharField(max_length=300, blank=True)
    taken_down_at = models.DateTimeField(null=True, editable=False)
    taken_down_by = models.CharField(max_length=150, blank=True, editable=False)
    takedown_reason = models.CharField(max_length=300, blank=True, editable=False)
    # Its name in a storage that is open to all was changed since.
    hidden = models.BooleanField(default=False, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["sha256", "storage"], name="one_blob_of_bytes"
            )
        ]
        indexes = [
            # What waits for its storage.
            models.Index(fields=["state", "try_again_at"], name="blobs_waiting"),
            # What nobody has referred to lately.
            models.Index(fields=["touched_at"], name="blobs_by_touch"),
            # Who must be hidden.
            models.Index(fields=["taken_down_at"], name="blobs_taken_down"),
        ]

    def __str__(self) -> str:
        return f"{self.storage} {self.name}"

    @property
    def extension(self) -> str:
        return EXTENSIONS[self.media_type]


class Leftover(models.Model):
    """Bytes that no row names any more, to be deleted from their storage."""

    storage = models.CharField(max_length=10)
    name = models.CharField(max_length=60, unique=True)
    since = models.DateTimeField(default=clock.now)
    tries = models.PositiveSmallIntegerField(default=0)
    try_again_at = models.DateTimeField(default=clock.now, db_index=True)
    trouble = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.storage} {self.name}"


class ImageQuerySet(models.QuerySet):
    def over(self, now: datetime.datetime) -> Self:
        """Pictures whose time is over."""
        return self.filter(_ended(now))

    def present(self, now: datetime.datetime) -> Self:
        """Pictures whose time is not over."""
        return self.exclude(_ended(now))


def _ended(now: datetime.datetime) -> models.Q:
    ended = models.Q(expires_at__lte=now)
    if settings.IMAGE_RETENTION_DAYS:
        days = datetime.timedelta(days=settings.IMAGE_RETENTION_DAYS)
        ended |= models.Q(created_at__lte=now - days)
    return ended


class Image(models.Model):
    """A picture that was made or sent, under a name that nobody can guess."""

    class Mark(models.TextChoices):
        UNTRIED = "untried", "Not looked for"
        NONE = "none", "None found"
        REMOVED = "removed", "Removed"
        RESIDUAL = "residual", "Found and put back"
        LEFT = "left", "Found and left"
        FAILED = "failed", "The look failed"

    name = models.CharField(
        max_length=40, unique=True, default=new_name, editable=False
    )
    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="images")
    original = models.ForeignKey(
        Blob,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="originals",
        help_text="As the provider sent it, if that is kept and was changed.",
    )
    thumbnail = models.ForeignKey(
        Blob,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="thumbnails",
    )
    prompt = models.TextField(blank=True, max_length=LONGEST_PROMPT)
    model = models.CharField(max_length=120, blank=True)
    account = loose("accounts.Account")
    token = loose("accounts.Token")
    user = loose(settings.AUTH_USER_MODEL)
    caller = models.CharField(max_length=64, blank=True)
    request_id = models.CharField(max_length=40, blank=True, db_index=True)
    parent = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="children",
        help_text="The picture that this one was edited from.",
    )
    cost = models.DecimalField(
        max_digits=12, decimal_places=6, null=True, blank=True, help_text="In USD."
    )
    mark = models.CharField(max_length=10, choices=Mark, default=Mark.UNTRIED)
    mark_variant = models.CharField(max_length=24, blank=True)
    mark_score = models.FloatField(null=True, blank=True)
    mark_strength = models.FloatField(null=True, blank=True)
    mark_box = models.JSONField(default=list, blank=True)
    mark_note = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=clock.now)
    expires_at = models.DateTimeField(null=True, blank=True)

    objects = ImageQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name = "picture"
        indexes = [
            # The gallery and the retention job walk by time.
            models.Index(fields=["created_at"], name="images_by_time"),
            # A caller's, a token's, a person's and an account's latest pictures.
            models.Index(fields=["caller", "created_at"], name="images_by_caller"),
            models.Index(fields=["token", "created_at"], name="images_by_token"),
            models.Index(fields=["user", "created_at"], name="images_by_user"),
            models.Index(fields=["account", "created_at"], name="images_by_account"),
            # The filters of the gallery.
            models.Index(fields=["model", "created_at"], name="images_by_model"),
            models.Index(fields=["mark", "created_at"], name="images_by_mark"),
            # Pictures with an end of their own.
            models.Index(fields=["expires_at"], name="images_by_end"),
        ]

    def __str__(self) -> str:
        return f"{self.name[:8]}… {self.model}".strip()

    @property
    def ends_at(self) -> datetime.datetime | None:
        """When it is deleted, if it is not deleted by hand."""
        ends = [self.expires_at] if self.expires_at else []
        if settings.IMAGE_RETENTION_DAYS:
            days = datetime.timedelta(days=settings.IMAGE_RETENTION_DAYS)
            ends.append(self.created_at + days)
        return min(ends, default=None)

    @property
    def is_over(self) -> bool:
        end = self.ends_at
        return end is not None and end <= clock.now()

    @property
    def is_taken_down(self) -> bool:
        return self.blob.taken_down_at is not None

    @property
    def file_name(self) -> str:
        """The name that a download gets."""
        return f"{self.name[:12]}.{self.blob.extension}"
