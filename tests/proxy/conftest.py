"""Fixtures of the gateway's tests."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.proxy.house import House


@pytest.fixture
def accounts() -> int:
    """How many accounts the pool has; tests parametrise it."""
    return 2


@pytest.fixture
def house(
    transactional_db: None, tmp_path: Path, settings: Any, accounts: int
) -> Iterator[House]:
    settings.REDIS_URL = ""
    # Who finds nobody is told at once, where a test is not about waiting.
    settings.QUEUE_MAX_WAIT_MS = 0
    found = House(tmp_path / "spool", accounts)
    yield found
    found.stop()
