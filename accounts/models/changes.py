"""The change feed: what running processes must notice, as rows."""

from collections.abc import Iterable
from typing import Any, ClassVar

from django.db import models, transaction

from gemproxy.lib import bell


class Change(models.Model):
    """One thing that changed, written in the transaction that changed it."""

    topic = models.CharField(max_length=32)
    key = models.CharField(max_length=64, blank=True)
    # Every process asks for the rows of the last seconds several times a second.
    at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.topic} {self.key}"

    @classmethod
    def note(cls, topic: str, key: object = "") -> None:
        """Write a change into the current transaction."""
        cls.objects.create(topic=topic, key=str(key))
        transaction.on_commit(bell.ring, robust=True)


class WatchedQuerySet(models.QuerySet):
    """A query set whose bulk writes are noticed as well."""

    def update(self, **changes: Any) -> int:
        with transaction.atomic(using=self.db):
            count = super().update(**changes)
            if count:
                Change.note(self.model.topic)
        return count

    def delete(self) -> tuple[int, dict[str, int]]:
        with transaction.atomic(using=self.db):
            result = super().delete()
            Change.note(self.model.topic)
        return result

    def bulk_create(self, objs: Iterable[Any], *args: Any, **kwargs: Any) -> list[Any]:
        with transaction.atomic(using=self.db):
            made = super().bulk_create(objs, *args, **kwargs)
            Change.note(self.model.topic)
        return made


class Watched(models.Model):
    """A row whose every write goes into the change feed under ``topic``."""

    topic: ClassVar[str]

    objects = WatchedQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        with transaction.atomic():
            super().save(*args, **kwargs)
            Change.note(self.topic, self.change_key)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        with transaction.atomic():
            key = self.change_key
            result = super().delete(*args, **kwargs)
            Change.note(self.topic, key)
        return result

    @property
    def change_key(self) -> object:
        """What the change feed calls this row."""
        return self.pk
