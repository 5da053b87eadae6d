"""Guarded fetches: what is refused, and that nothing slips past."""

import asyncio
import ipaddress
import socket
import threading
import time

import pytest
from aiohttp import web

from gemproxy.lib.outbound import OutboundRefused, fetch_media, is_public

PNG = b"\x89PNG" + b"x" * 96
TYPES = frozenset({"image/png", "audio/*"})


async def fetch(url, *, max_bytes=1000, timeout=5.0, allow_private=True, types=TYPES):
    return await fetch_media(
        url,
        max_bytes=max_bytes,
        timeout=timeout,
        allowed_types=types,
        allow_private=allow_private,
    )


async def refuses(pattern, url, **options):
    with pytest.raises(OutboundRefused, match=pattern) as caught:
        await fetch(url, **options)
    return str(caught.value)


class Site:
    """A web server on loopback."""

    def __init__(self):
        self.hits = []

    async def handle(self, request):
        self.hits.append(request.path)
        return await getattr(self, request.path.strip("/").partition("/")[0])(request)

    async def png(self, _request):
        return web.Response(body=PNG, content_type="image/png")

    async def wav(self, _request):
        return web.Response(body=b"w", content_type="audio/wav", charset=None)

    async def page(self, _request):
        return web.Response(text="<html>", content_type="text/html")

    async def untyped(self, _request):
        return web.Response(body=b"x")

    async def missing(self, _request):
        return web.Response(status=404)

    async def hop(self, request):
        left = int(request.path.rpartition("/")[2])
        target = f"/hop/{left - 1}" if left else "/png"
        return web.Response(status=302, headers={"location": target})

    async def away(self, request):
        target = request.query["to"]
        return web.Response(status=307, headers={"location": target})

    async def nowhere(self, _request):
        return web.Response(status=302)

    async def stream(self, request):
        response = web.StreamResponse(headers={"content-type": "image/png"})
        await response.prepare(request)
        for _ in range(int(request.query["parts"])):
            await response.write(b"x" * 100)
            await asyncio.sleep(0.001)
        return response

    async def bomb(self, _request):
        response = web.Response(body=b"x" * 1_000_000, content_type="image/png")
        response.enable_compression(web.ContentCoding.gzip, strategy=0)
        return response

    async def slow(self, _request):
        await asyncio.sleep(10)

    async def drip(self, request):
        response = web.StreamResponse(headers={"content-type": "image/png"})
        await response.prepare(request)
        for _ in range(100):
            await response.write(b"x")
            await asyncio.sleep(0.05)
        return response


@pytest.fixture
async def site():
    made = Site()
    app = web.Application()
    app.router.add_get("/{tail:.*}", made.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    listener = web.TCPSite(runner, "127.0.0.1", 0)
    await listener.start()
    made.port = runner.addresses[0][1]
    made.url = f"http://127.0.0.1:{made.port}"
    yield made
    await runner.cleanup()


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/png", ("image/png", PNG)),
        ("/wav", ("audio/wav", b"w")),
        ("/hop/2", ("image/png", PNG)),
    ],
    ids=["exact type", "family", "three redirects"],
)
async def test_allowed_media_is_fetched(site, path, found):
    assert await fetch(site.url + path) == found


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/page", "text/html"),
        ("/untyped", "application/octet-stream"),
        ("/missing", "404"),
        ("/hop/3", "redirects too often"),
        ("/nowhere", "redirects|http"),
    ],
)
async def test_other_answers_are_refused(site, path, reason):
    await refuses(reason, site.url + path)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://h.test/x",
        "data:image/png;base64,AAAA",
        "gopher://h.test/",
        "//h.test/x",
        "/etc/passwd",
        "",
        "http://",
        "http://[::1",
        "javascript:alert(1)",
    ],
)
async def test_only_web_addresses_are_fetched(url):
    await refuses("http and https|malformed", url)


async def test_urls_with_credentials_are_refused(site):
    text = await refuses("user name", f"http://bob:hidden@127.0.0.1:{site.port}/png")
    assert "hidden" not in text
    assert site.hits == []


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "0.0.0.0",
        "localhost",
        "LOCALHOST.",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
    ],
)
async def test_loopback_is_refused_however_it_is_written(site, host):
    await refuses(
        "public|could not", f"http://{host}:{site.port}/png", allow_private=False
    )
    assert site.hits == []


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "172.16.3.4",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "198.18.0.1",
        "203.0.113.9",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "0.1.2.3",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2001:0:a00:1::",
        "2001:db8::1",
        "2002:a00:1::",
    ],
)
def test_inner_addresses_are_not_public(address):
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "142.250.1.1", "2607:f8b0:4004::1", "::ffff:8.8.8.8"]
)
def test_outer_addresses_are_public(address):
    assert is_public(ipaddress.ip_address(address))


@pytest.fixture
def names(monkeypatch):
    """Names that resolve as a test says; every look-up is counted."""
    table: dict[str, list[list[str]]] = {}
    asked = []

    async def resolve(host, port, _family):
        asked.append(host)
        answers = table[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            {
                "hostname": host,
                "host": address,
                "port": port,
                "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST,
            }
            for address in addresses
        ]

    monkeypatch.setattr("gemproxy.lib.outbound._looked_up", resolve)
    table["asked"] = asked
    return table


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["8.8.8.8", "::1"], ["fe80::1%eth0"]],
    ids=["loopback", "one of two", "one of two families", "scoped"],
)
async def test_a_name_with_any_inner_address_is_refused(site, names, addresses):
    names["inner.test"] = [addresses]
    url = f"http://inner.test:{site.port}/png"
    text = await refuses("public address", url, allow_private=False)
    assert addresses[-1] not in text
    assert site.hits == []


async def test_the_connection_goes_to_the_address_that_was_checked(
    site, names, monkeypatch
):
    # The name is outside when it is checked and inside whenever it is asked again.
    names["turncoat.test"] = [["127.0.0.2"], ["127.0.0.1"]]
    monkeypatch.setattr(
        "gemproxy.lib.outbound.is_public",
        lambda address: str(address) == "127.0.0.2",
    )
    url = f"http://turncoat.test:{site.port}/png"
    await refuses("could not be fetched", url, allow_private=False)
    assert names["asked"] == ["turncoat.test"]
    assert site.hits == []


@pytest.mark.parametrize(
    "target",
    ["http://inner.test:{port}/png", "http://10.0.0.1/x", "file:///etc/passwd",
     "http://[::ffff:10.0.0.1]/", "ftp://outer.test/", "http://u:p@outer.test/"],
)  # fmt: skip
async def test_redirects_are_checked_like_the_url_itself(
    site, names, monkeypatch, target
):
    names["outer.test"] = [["127.0.0.1"]]
    names["inner.test"] = [["10.1.2.3"]]
    # In this test loopback counts as outside, so that the first hop is answered.
    monkeypatch.setattr(
        "gemproxy.lib.outbound.is_public",
        lambda address: str(address) == "127.0.0.1",
    )
    target = target.format(port=site.port)
    url = f"http://outer.test:{site.port}/away?to={target}"
    await refuses("public|http and https|user name", url, allow_private=False)
    assert site.hits == ["/away"]


async def test_a_declared_size_over_the_limit_is_refused(site):
    await refuses("over 99 bytes", site.url + "/png", max_bytes=99)
    assert await fetch(site.url + "/png", max_bytes=100) == ("image/png", PNG)


async def test_an_undeclared_size_is_counted_while_reading(site):
    await refuses("over 999 bytes", site.url + "/stream?parts=1000", max_bytes=999)
    _, body = await fetch(site.url + "/stream?parts=10", max_bytes=1000)
    assert len(body) == 1000


async def test_compressed_bodies_count_unpacked(site):
    await refuses("over 5000 bytes", site.url + "/bomb", max_bytes=5000)


@pytest.mark.parametrize("path", ["/slow", "/drip"])
async def test_the_time_limit_covers_everything(site, path):
    start = time.monotonic()
    await refuses("in time", site.url + path, timeout=0.3)
    assert time.monotonic() - start < 10


async def test_nobody_there_is_a_refusal_without_details():
    text = await refuses("could not be fetched", "http://127.0.0.1:9/x?token=hidden")
    assert "hidden" not in text


async def test_names_that_hang_do_not_hold_up_look_ups_of_others(monkeypatch):
    release = threading.Event()
    real = socket.getaddrinfo

    def hang(host, *args, **kwargs):
        if host == "hanging.example":
            release.wait(10)
            raise socket.gaierror(socket.EAI_AGAIN, "again")
        return real(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    url = "http://hanging.example/x.png"
    fetches = [
        asyncio.ensure_future(
            fetch_media(url, max_bytes=9, timeout=5, allowed_types=["image/*"])
        )
        for _ in range(50)
    ]
    await asyncio.sleep(0.1)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(1):
            assert await loop.getaddrinfo("localhost", 80)
            await asyncio.to_thread(bool)
    finally:
        release.set()
        refusals = await asyncio.gather(*fetches, return_exceptions=True)
    assert {type(refusal) for refusal in refusals} == {OutboundRefused}
