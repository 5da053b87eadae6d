"""Ways out: HTTP proxies with and without CONNECT, SOCKS, TLS, and their faults."""

import httpx
import pytest

from proxy.upstreams.http import AiohttpTransport, read_all, tls_context
from tests.proxy.upstreams.servers import (
    HTTPProxy,
    HTTPServer,
    SocksProxy,
    StreamServer,
    make_tls,
)


async def whole(peer, _received):
    peer.send_whole(b"ok")


async def get(proxy_url, url, **extensions):
    transport = AiohttpTransport(proxy_url)
    request = httpx.Request("GET", url, extensions=extensions)
    try:
        return await read_all(await transport.handle_async_request(request))
    finally:
        await transport.aclose()


@pytest.fixture
def tls(tmp_path, monkeypatch):
    for_server, for_client = make_tls(tmp_path)
    monkeypatch.setattr("proxy.upstreams.http.tls_context", lambda: for_client)
    return for_server


async def test_plain_http_goes_through_a_forward_proxy():
    async with HTTPServer(whole) as server, HTTPProxy() as proxy:
        assert await get(f"http://127.0.0.1:{proxy.port}", server.url + "/a") == b"ok"
    assert proxy.seen == [f"GET {server.url}/a HTTP/1.1"]


async def test_https_goes_through_a_connect_tunnel(tls):
    async with HTTPServer(whole, tls=tls) as server, HTTPProxy() as proxy:
        assert await get(f"http://127.0.0.1:{proxy.port}", server.url + "/a") == b"ok"
    assert proxy.seen == [f"CONNECT 127.0.0.1:{server.port} HTTP/1.1"]
    assert server.requests[0].target == "/a"


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tunnel"])
async def test_credentials_in_the_proxy_url_reach_the_proxy_only(tls, secure):
    async with (
        HTTPServer(whole, tls=tls if secure else None) as server,
        HTTPProxy(guarded=True) as proxy,
    ):
        proxy_url = f"http://user:pass%20word@127.0.0.1:{proxy.port}"
        assert await get(proxy_url, server.url) == b"ok"
    assert len(proxy.seen) == 1
    assert secure is False or "proxy-authorization" not in server.requests[0].headers


async def test_a_proxy_that_wants_credentials_is_a_proxy_error(tls):
    async with (
        HTTPServer(whole, tls=tls) as server,
        HTTPProxy(guarded=True) as proxy,
    ):
        with pytest.raises(httpx.ProxyError, match="407") as caught:
            await get(f"http://user:wrong@127.0.0.1:{proxy.port}", server.url)
    assert "wrong" not in str(caught.value)
    assert server.requests == []


async def test_a_silent_proxy_is_a_connect_timeout(tls):
    async with HTTPServer(whole, tls=tls) as server, HTTPProxy(silent=True) as proxy:
        with pytest.raises(httpx.ConnectTimeout):
            await get(
                f"http://127.0.0.1:{proxy.port}", server.url, timeout={"connect": 0.2}
            )


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
async def test_socks_proxies_resolve_the_names(scheme):
    async with HTTPServer(whole) as server, SocksProxy() as proxy:
        url = f"http://upstream.test:{server.port}/"
        assert await get(f"{scheme}://127.0.0.1:{proxy.port}", url) == b"ok"
    assert proxy.seen == ["upstream.test"]


async def test_tls_goes_through_socks(tls):
    async with HTTPServer(whole, tls=tls) as server, SocksProxy() as proxy:
        assert await get(f"socks5://127.0.0.1:{proxy.port}", server.url) == b"ok"


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks4"])
async def test_a_proxy_that_is_not_there_is_an_error_of_connecting(scheme):
    async with HTTPServer(whole) as server:
        with pytest.raises((httpx.ProxyError, httpx.ConnectError)):
            await get(f"{scheme}://user:hidden@127.0.0.1:9", server.url)
    assert server.requests == []


async def test_a_socks_proxy_that_hangs_up_is_a_proxy_error():
    async with StreamServer() as proxy:
        with pytest.raises(httpx.ProxyError, match="refused"):
            await get(f"socks5://127.0.0.1:{proxy.port}", "http://127.0.0.1:9")


async def test_an_untrusted_certificate_is_refused_through_socks_too(tmp_path):
    for_server, _ = make_tls(tmp_path)
    async with HTTPServer(whole, tls=for_server) as server, SocksProxy() as proxy:
        with pytest.raises(httpx.ConnectError, match="certificate"):
            await get(f"socks5://127.0.0.1:{proxy.port}", server.url)


@pytest.mark.parametrize(
    "proxy_url",
    ["ftp://hidden@h:1", "hidden", "http://", "http://h:hidden", "socks5://hidden"],
)
async def test_what_is_no_proxy_url_is_refused_without_being_repeated(proxy_url):
    with pytest.raises(httpx.UnsupportedProtocol) as caught:
        await get(proxy_url, "http://127.0.0.1:9")
    assert "hidden" not in str(caught.value)


async def test_an_untrusted_certificate_is_refused(tmp_path):
    for_server, _ = make_tls(tmp_path)
    async with HTTPServer(whole, tls=for_server) as server:
        with pytest.raises(httpx.ConnectError, match="certificate"):
            await get("", server.url)
    assert server.requests == []


async def test_nobody_listening_is_an_error_of_connecting():
    with pytest.raises(httpx.ConnectError, match="refused"):
        await get("", "http://127.0.0.1:9")


async def test_a_name_that_does_not_resolve_is_said_to_be_so(monkeypatch):
    async def fail(*_args, **_kwargs):
        raise OSError("no such host")

    monkeypatch.setattr("aiohttp.resolver.ThreadedResolver.resolve", fail)
    with pytest.raises(httpx.ConnectError, match="resolve"):
        await get("", "http://nowhere.invalid")


def test_the_tls_context_is_shared_and_verifies():
    context = tls_context()
    assert context is tls_context()
    assert context.check_hostname
    assert context.get_ca_certs()
