"""Usage rows for tests."""

import datetime
import itertools
import os
from typing import Any
from urllib.parse import urlsplit

from django.db import connection

from accounts.models import UsageRecord
from proxy.entries import Entry

NOON = datetime.datetime(2026, 11, 20, 12, 0, tzinfo=datetime.UTC)
_numbers = itertools.count(1)


def entry(**fields: Any) -> Entry:
    """Make an entry with a fresh request id."""
    values: dict[str, Any] = {
        "request_id": f"req-{next(_numbers)}",
        "started_at": NOON,
        "surface": "openai",
        "method": "generateContent",
        "model_asked": "gemini-3-flash-preview",
        "status": 200,
        "outcome": "ok",
    }
    return Entry(**values | fields)


def saved(**fields: Any) -> UsageRecord:
    """Store a usage row as an earlier process may have done."""
    values = entry(**fields)
    row = UsageRecord(**{name: getattr(values, name) for name in Entry.__slots__})
    row.save()
    return row


def stored_ids() -> set[str]:
    return set(UsageRecord.objects.values_list("request_id", flat=True))


def database_url() -> str:
    """Return the address of the test database, for another process."""
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return urlsplit(os.environ["TEST_DATABASE_URL"])._replace(path=f"/{name}").geturl()
