"""A fresh sandbox for each test, and a client that speaks to it in process."""

from collections.abc import AsyncIterator

import httpx
import pytest

from proxy.sandbox.app import Sandbox, create_sandbox


@pytest.fixture
def sandbox() -> Sandbox:
    return create_sandbox()


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=sandbox)
    async with httpx.AsyncClient(transport=transport, base_url="http://box") as made:
        yield made
