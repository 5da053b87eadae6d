"""What foreign exceptions become."""

import asyncio
import errno

import aiohttp
import httpx
import pytest

from proxy.errors import (
    BadAnswer,
    ConnectFailed,
    NotFound,
    StreamCut,
    UpstreamTimeout,
)
from proxy.upstreams.http import foreign_faults

URL = "https://user:hunter2@host/?key=AIzaSecret"
REQUEST = httpx.Request("GET", URL)


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (httpx.ConnectTimeout(URL), ConnectFailed),
        (httpx.PoolTimeout(URL), ConnectFailed),
        (httpx.ConnectError(URL), ConnectFailed),
        (httpx.ProxyError(URL), ConnectFailed),
        (httpx.UnsupportedProtocol(URL), ConnectFailed),
        (httpx.InvalidURL(URL), ConnectFailed),
        (httpx.ReadError(URL), ConnectFailed),
        (httpx.ReadTimeout(URL), UpstreamTimeout),
        (httpx.WriteTimeout(URL), UpstreamTimeout),
        (httpx.RemoteProtocolError(URL), BadAnswer),
        (aiohttp.ServerDisconnectedError(URL), ConnectFailed),
        (aiohttp.ClientOSError(errno.ECONNRESET, URL), ConnectFailed),
        (aiohttp.SocketTimeoutError(URL), UpstreamTimeout),
        (aiohttp.ConnectionTimeoutError(URL), ConnectFailed),
        (aiohttp.InvalidURL(URL), ConnectFailed),
        (aiohttp.ClientPayloadError(URL), BadAnswer),
        (TimeoutError(URL), UpstreamTimeout),
        (ConnectionResetError(URL), ConnectFailed),
        (OSError(errno.ENETUNREACH, URL), ConnectFailed),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_before_the_head(error, fault):
    with pytest.raises(fault) as caught, foreign_faults():
        raise error
    assert type(caught.value) is fault
    assert caught.value.__cause__ is error
    assert "hunter2" not in caught.value.message
    assert "AIza" not in caught.value.message


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (httpx.ReadError(URL), StreamCut),
        (httpx.RemoteProtocolError(URL), StreamCut),
        (aiohttp.ClientPayloadError(URL), StreamCut),
        (aiohttp.ClientOSError(errno.ECONNRESET, URL), StreamCut),
        (ConnectionResetError(URL), StreamCut),
        (httpx.ReadTimeout(URL), UpstreamTimeout),
        (aiohttp.SocketTimeoutError(URL), UpstreamTimeout),
        (httpx.DecodingError(URL), BadAnswer),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_in_the_body(error, fault):
    with pytest.raises(fault) as caught, foreign_faults(in_body=True):
        raise error
    assert type(caught.value) is fault
    assert "hunter2" not in caught.value.message


def test_failed_connections_are_the_fault_of_the_way_out():
    with pytest.raises(ConnectFailed) as caught, foreign_faults():
        raise httpx.ConnectError("x")
    assert caught.value.blame == "egress"


@pytest.mark.parametrize(
    "error",
    [NotFound("ours"), asyncio.CancelledError(), GeneratorExit(), KeyError("bug")],
    ids=lambda error: type(error).__name__,
)
def test_what_is_not_foreign_goes_through(error):
    with pytest.raises(type(error)) as caught, foreign_faults():
        raise error
    assert caught.value is error


def test_no_error_is_no_fault():
    with foreign_faults():
        done = True
    assert done
