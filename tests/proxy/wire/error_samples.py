"""Google's errors as samples: bodies, and the details inside them."""

from datetime import UTC, datetime
from typing import Any

import orjson

TYPE = "type.googleapis.com/google.rpc."
#: Noon in Los Angeles, twelve hours before the quotas of a day start anew.
NOON = datetime(2026, 11, 20, 20, 0, tzinfo=UTC)
MIDNIGHT = NOON.timestamp() + 12 * 3600
Json = dict[str, Any]


def body(code: int, message: str = "m", status: str = "", *details: Json) -> bytes:
    error: Json = {"code": code, "message": message, "status": status}
    if details:
        error["details"] = list(details)
    return orjson.dumps({"error": error})


def info(reason: str, domain: str = "googleapis.com", **metadata: str) -> Json:
    kind = {"@type": f"{TYPE}ErrorInfo", "reason": reason, "domain": domain}
    return {**kind, "metadata": metadata}


def retry(delay: str) -> Json:
    return {"@type": f"{TYPE}RetryInfo", "retryDelay": delay}


def links(*urls: str) -> Json:
    found = [{"description": "d", "url": url} for url in urls]
    return {"@type": f"{TYPE}Help", "links": found}


def violations(*found: Json) -> Json:
    return {"@type": f"{TYPE}QuotaFailure", "violations": list(found)}


def violation(quota_id: str, value: str = "15", **dimensions: str) -> Json:
    return {
        "quotaMetric": "generativelanguage.googleapis.com/generate_requests",
        "quotaId": quota_id,
        "quotaDimensions": dimensions or {"location": "global", "model": "gemini-x"},
        "quotaValue": value,
    }


PER_MINUTE = violation("GenerateRequestsPerMinutePerProjectPerModel-FreeTier")
PER_DAY = violation("GenerateRequestsPerDayPerProjectPerModel-FreeTier", "250")
