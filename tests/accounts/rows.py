"""Rows of the usage log for tests."""

import itertools
from typing import Any

from accounts.models import UsageHour, UsageRecord
from gemproxy.lib import clock

_numbers = itertools.count(1)


def record(**fields: Any) -> UsageRecord:
    """Store a finished request; everything may be overridden."""
    values: dict[str, Any] = {
        "request_id": f"req-{next(_numbers)}",
        "started_at": clock.now(),
        "duration_ms": 800,
        "first_token_ms": 200,
        "surface": "openai.chat",
        "method": "generateContent",
        "model_asked": "gemini-2.5-flash",
        "status": 200,
        "outcome": "ok",
        "prompt_tokens": 10,
        "output_tokens": 20,
        "thoughts_tokens": 5,
    }
    return UsageRecord.objects.create(**{**values, **fields})


def hour(**fields: Any) -> UsageHour:
    """Store a sum over the current hour; everything may be overridden."""
    start = clock.now().replace(minute=0, second=0, microsecond=0)
    values: dict[str, Any] = {
        "hour": start,
        "model_asked": "gemini-2.5-flash",
        "outcome": "ok",
        "requests": 1,
    }
    return UsageHour.objects.create(**{**values, **fields})
