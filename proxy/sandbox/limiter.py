"""A real rate limiter: what a project's quotas would still allow."""

from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from proxy.sandbox.refusals import Refusal, quota_exceeded

DEFAULT_RPM = 15
_MINUTE = 60.0
# Google's daily quotas start anew at midnight Pacific time.
_QUOTA_ZONE = ZoneInfo("America/Los_Angeles")
_REQUESTS = "generate_content_free_tier_requests"
_INPUT_TOKENS = "generate_content_free_tier_input_token_count"


class Limiter:
    """Counts calls and input tokens per key and model."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._recent: dict[tuple[str, str], deque[tuple[float, int]]] = defaultdict(
            deque
        )
        self._today: dict[tuple[str, str, str], int] = defaultdict(int)

    def admit(
        self, key: str, model: str, tokens: int, limits: Mapping[str, Any]
    ) -> None:
        """Count one call, or raise the ``Refusal`` that says when to come back.

        ``limits`` may hold ``rpm``, ``tpm`` and ``rpd``; without any, 15 a minute.
        """
        now = self._clock()
        recent = self._recent[key, model]
        while recent and recent[0][0] <= now - _MINUTE:
            recent.popleft()
        rpm = limits.get("rpm", None if limits.keys() & {"rpd", "tpm"} else DEFAULT_RPM)
        if rpm is not None and len(recent) >= rpm:
            ends = recent[len(recent) - rpm][0] + _MINUTE if rpm else now + _MINUTE
            raise _per_minute(_REQUESTS, "RequestsPerMinute", rpm, model, ends - now)
        self._check_tokens(recent, tokens, limits.get("tpm"), model)
        self._count_day(key, model, limits.get("rpd"))
        recent.append((now, tokens))

    def _check_tokens(
        self,
        recent: deque[tuple[float, int]],
        tokens: int,
        tpm: int | None,
        model: str,
    ) -> None:
        if tpm is None:
            return
        spare = tpm - sum(used for _, used in recent) - tokens
        wait = _MINUTE
        for started, used in recent:
            if spare >= 0:
                break
            spare += used
            wait = started + _MINUTE - self._clock()
        if tpm < sum(used for _, used in recent) + tokens:
            kind = "InputTokensPerMinute"
            raise _per_minute(_INPUT_TOKENS, kind, tpm, model, wait)

    def _count_day(self, key: str, model: str, rpd: int | None) -> None:
        now = datetime.fromtimestamp(self._clock(), _QUOTA_ZONE)
        today = now.date().isoformat()
        if rpd is not None and self._today[key, model, today] >= rpd:
            tomorrow = datetime.combine(
                now.date() + timedelta(days=1), time(), _QUOTA_ZONE
            )
            wait = tomorrow.timestamp() - now.timestamp()
            raise quota_exceeded(
                metric=_REQUESTS,
                quota_id="GenerateRequestsPerDayPerProjectPerModel-FreeTier",
                value=rpd,
                model=model,
                retry_delay=duration(wait),
            )
        self._today[key, model, today] += 1


def duration(seconds: float) -> str:
    """A protobuf duration such as ``38.601s``; whole seconds without a fraction."""
    return f"{max(seconds, 0.0):.9f}".rstrip("0").rstrip(".") + "s"


def _per_minute(metric: str, kind: str, value: int, model: str, wait: float) -> Refusal:
    names = {
        "RequestsPerMinute": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
        "InputTokensPerMinute": "GenerateContentInputTokensPerModelPerMinute-FreeTier",
    }
    return quota_exceeded(
        metric=metric,
        quota_id=names[kind],
        value=value,
        model=model,
        retry_delay=duration(wait),
    )
