"""Fixtures of the upstream tests: every pool is closed in the loop that made it."""

import asyncio

import pytest
import uvloop

from proxy.upstreams.http import AiohttpTransport, Clients


def pytest_asyncio_loop_factories(config, item):
    """Run what hangs on the event loop's way of closing sockets on both loops."""
    loops = {"asyncio": asyncio.new_event_loop}
    if item.path.name == "test_broken_connections.py":
        loops["uvloop"] = uvloop.new_event_loop
    return loops


@pytest.fixture
async def clients():
    made = Clients()
    yield made
    await made.aclose()


@pytest.fixture
async def transport():
    made = AiohttpTransport()
    yield made
    await made.aclose()
