"""People who sign in."""

from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models

from accounts.models.changes import Watched, WatchedQuerySet


class People(UserManager.from_queryset(WatchedQuerySet)):  # type: ignore[misc]
    """All people; bulk changes are noted too."""

    use_in_migrations = False


class User(Watched, AbstractUser):
    """A person: an API user, or an operator if staff.

    Every change is noted: a person who is switched off must lose the tokens' use in
    every process.
    """

    topic = "user"

    plan = models.ForeignKey(
        "accounts.Plan", null=True, blank=True, on_delete=models.SET_NULL
    )

    objects = People()

    class Meta:
        ordering = ["username"]
