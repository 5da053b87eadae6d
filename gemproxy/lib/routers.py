"""Which database a model lives in."""

from typing import Any

from django.conf import settings

JOBS_APP = "django_q"


class JobsRouter:
    """Send the job queue to the `jobs` database where there is one."""

    def db_for_read(self, model: Any, **_: Any) -> str | None:
        return self._jobs(model._meta.app_label)

    def db_for_write(self, model: Any, **_: Any) -> str | None:
        return self._jobs(model._meta.app_label)

    def allow_relation(self, *_: Any, **__: Any) -> bool | None:
        return None

    def allow_migrate(self, db: str, app_label: str, **_: Any) -> bool | None:
        if "jobs" not in settings.DATABASES:
            return None
        return (db == "jobs") == (app_label == JOBS_APP)

    def _jobs(self, app_label: str) -> str | None:
        split = app_label == JOBS_APP and "jobs" in settings.DATABASES
        return "jobs" if split else None
