"""A folder of its own for each test, and storages that were not used before."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from imaging.storages import kinds


@pytest.fixture(autouse=True)
def own_storages(settings: Any, tmp_path: Path) -> Iterator[Path]:
    """Keep pictures below the test's folder; forget storages before and after."""
    settings.VAR_DIR = tmp_path
    settings.IMAGE_STORAGE_DIR = tmp_path / "images"
    kinds.storage.cache_clear()
    yield tmp_path / "images"
    kinds.storage.cache_clear()


@pytest.fixture
def mine(client: Client, alice: Any) -> Client:
    """Alice's browser, where she is signed in."""
    client.force_login(alice)
    return client
