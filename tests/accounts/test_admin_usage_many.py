"""The usage list and the front page ask little of a table of many rows.

Set USAGE_ROWS=1000000 to see the times of a million; they are printed (`-s`).
"""

import os
import time
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from accounts.models import Account, Token, UsageRecord

ROWS = int(os.environ.get("USAGE_ROWS", "100000"))
LIST = "/admin/accounts/usagerecord/"
# Half of the rows are of the last day; one model and one cause are rare.
FILL = """
INSERT INTO accounts_usagerecord (
  request_id, started_at, duration_ms, first_token_ms, surface, method, streamed,
  model_asked, model_served, kind, account_id, token_id, user_id, status, outcome,
  cause, blame, finish, attempts, decision, prompt_tokens, cached_tokens,
  output_tokens, thoughts_tokens, tool_use_tokens, total_tokens, images,
  usage_metadata, client_ip, user_agent)
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < %s)
SELECT 'req-' || i,
  strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', '-' || ((%s - i) * 0.1728) || ' seconds'),
  100 + i %% 3000, 50 + i %% 500,
  CASE i %% 3 WHEN 0 THEN 'gemini' ELSE 'openai.chat' END, 'generateContent', i %% 2,
  CASE WHEN i %% 50000 = 7 THEN 'rare-model' ELSE 'gemini-2.5-flash' END,
  'gemini-2.5-flash', 'gemini_api', %s, %s, %s,
  CASE i %% 40 WHEN 0 THEN 503 ELSE 200 END,
  CASE i %% 40 WHEN 0 THEN 'fault' ELSE 'ok' END,
  CASE WHEN i %% 40 <> 0 THEN '' WHEN i %% 80000 = 0 THEN 'timeout' ELSE 'overloaded' END,
  '', 'STOP', '[]', '{}', 100, 0, 200, 50, 0, 350, 0, '{}', '10.0.0.1', 'test'
FROM n
"""
HOURS = """
INSERT INTO accounts_usagehour (
  hour, token_id, user_id, account_id, model_asked, outcome, requests, prompt_tokens,
  cached_tokens, output_tokens, thoughts_tokens, total_tokens, images, duration_ms,
  first_token_ms, first_tokens)
SELECT strftime('%Y-%m-%d %H:00:00', started_at), token_id, user_id, account_id,
  model_asked, outcome, COUNT(*), SUM(prompt_tokens), 0, SUM(output_tokens),
  SUM(thoughts_tokens), SUM(total_tokens), 0, SUM(duration_ms), SUM(first_token_ms),
  COUNT(*)
FROM accounts_usagerecord GROUP BY 1, 2, 3, 4, 5, 6
"""
PAGES = [
    "",
    "?window=1h",
    "?window=7d",
    "?window=all",
    "?p=150",
    "?outcome__exact=fault",
    "?window=all&outcome__exact=cancelled",
    "?surface=gemini",
    "?model_asked=gemini-2.5-flash",
    "?q=req-500000",
    "?q=req-nowhere",
    "?token_id={token}",
    "?token_id=999999",
    "?account_id={account}&window=7d",
    "?user_id={user}",
    "?model_asked=rare-model",
    "?window=all&model_asked=rare-model",
    "?window=all&surface=none",
    "?outcome__exact=fault&cause=timeout",
]


@pytest.fixture
def ids(alice: Any) -> dict[str, int]:
    """Many rows of Alice's, in SQLite."""
    if connection.vendor != "sqlite":
        pytest.skip("fills the table in SQLite's own way")
    token, _ = Token.issue(user=alice, name="busy")
    account = Account.add(kind="gemini_api", secret="k" * 30)
    owners = {"account": account.pk, "token": token.pk, "user": alice.pk}
    with connection.cursor() as cursor:
        cursor.execute(FILL, [ROWS, ROWS, *owners.values()])
        cursor.execute(HOURS)
    return owners


def timed(client: Client, url: str) -> float:
    start = time.perf_counter()
    assert client.get(url).status_code == 200
    return time.perf_counter() - start


@pytest.mark.slow
def test_no_page_asks_more_than_a_few_questions_of_many_rows(
    client: Client,
    operator: Any,
    ids: dict[str, int],
    django_assert_max_num_queries: Any,
) -> None:
    assert UsageRecord.objects.count() == ROWS
    client.force_login(operator)
    client.get(LIST)
    middle = UsageRecord.objects.get(request_id=f"req-{ROWS // 2}").pk
    urls = [LIST + query.format(**ids) for query in PAGES]
    urls += [f"{LIST}{middle}/change/", "/admin/", "/admin/accounts/account/"]
    for url in urls:
        with django_assert_max_num_queries(16):
            print(f"{timed(client, url):.3f} s {url}")
