"""The fault lab's matrix on a gateway in this process: every row, every form."""

from collections.abc import Iterator
from typing import Any

import pytest

from proxy.faultlab.rows import ROWS
from proxy.faultlab.runner import run
from proxy.faultlab.settings import BOUNDS
from proxy.faultlab.stand import Stand
from tests.clients.conftest import Gateway


@pytest.fixture
def accounts() -> list[str]:
    return []


@pytest.fixture(autouse=True)
def bounds(settings: Any) -> None:
    for name, value in BOUNDS.items():
        setattr(settings, name, value)


@pytest.fixture
def stand(gateway: Gateway) -> Iterator[Stand]:
    with Stand(gateway.url, gateway.token, gateway.sandbox.url) as made:
        yield made


@pytest.mark.parametrize("name", ROWS)
def test_a_fault_is_told_blamed_and_harms_nobody_else(stand: Stand, name: str) -> None:
    results = list(run(stand, [ROWS[name]]))
    assert [r.form for r in results] == list(ROWS[name].forms)
    failed = {r.form.name: r.complaints for r in results if not r.passed}
    assert failed == {}
