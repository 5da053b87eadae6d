"""Where a request comes from, and who may look at operators' pages."""

from typing import Any

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from gemproxy.lib.network import client_ip, is_inside
from gemproxy.lib.operators import OperatorNetworkMiddleware, may_operate

PEER = "10.9.9.9"


@pytest.mark.parametrize(
    ("forwarded", "hops", "address"),
    [
        ("1.1.1.1", 0, PEER),
        ("", 1, PEER),
        ("1.1.1.1", 1, "1.1.1.1"),
        ("6.6.6.6, 1.1.1.1", 1, "1.1.1.1"),
        ("6.6.6.6, 1.1.1.1, 10.0.0.2", 2, "1.1.1.1"),
        ("1.1.1.1", 2, "1.1.1.1"),
        (" 1.1.1.1 ,, ", 1, "1.1.1.1"),
        ("1.1.1.1:4711", 1, "1.1.1.1"),
        ("[2001:db8::1]:4711", 1, "2001:db8::1"),
        ("2001:DB8::1", 1, "2001:db8::1"),
        ("unknown", 1, PEER),
        ("1.1.1.1, _hidden", 1, PEER),
    ],
)
def test_the_client_is_what_the_outermost_trusted_proxy_saw(
    forwarded: str, hops: int, address: str
) -> None:
    assert client_ip(PEER, forwarded, hops) == address


@pytest.mark.parametrize("text", ["<script>", "1.1.1.1:80", "x" * 5000])
def test_a_chain_that_is_too_short_brings_no_other_text_in(text: str) -> None:
    assert client_ip(PEER, text, 2) in (PEER, "1.1.1.1")


@pytest.mark.parametrize(
    ("address", "networks", "inside"),
    [
        ("10.1.2.3", ["10.0.0.0/8"], True),
        ("11.1.2.3", ["10.0.0.0/8"], False),
        ("11.1.2.3", ["10.0.0.0/8", "11.1.2.3"], True),
        ("10.1.2.3", ["10.1.2.9/8"], True),
        ("::ffff:10.1.2.3", ["10.0.0.0/8"], True),
        ("2001:db8::5", ["2001:db8::/32"], True),
        ("2001:db8::5", ["10.0.0.0/8"], False),
        ("", ["0.0.0.0/0"], False),
        ("testclient", ["0.0.0.0/0"], False),
        ("10.1.2.3", [], False),
    ],
)
def test_an_address_is_inside_one_of_the_networks(
    address: str, networks: list[str], inside: bool
) -> None:
    assert is_inside(address, networks) is inside


def test_anybody_may_operate_while_no_network_is_named(settings: Any) -> None:
    settings.ADMIN_ALLOWED_IPS = []
    assert may_operate("8.8.8.8")


def test_only_the_named_networks_may_operate(settings: Any) -> None:
    settings.ADMIN_ALLOWED_IPS = ["192.0.2.0/24"]
    assert may_operate("192.0.2.7")
    assert not may_operate("8.8.8.8")


def answer(path: str, **meta: str) -> int:
    guard = OperatorNetworkMiddleware(lambda _: HttpResponse("in"))
    return guard(RequestFactory().get(path, **meta)).status_code


@pytest.mark.parametrize("path", ["/admin/", "/admin/login/", "/api/operator/status"])
def test_operator_paths_are_shut_to_other_networks(settings: Any, path: str) -> None:
    settings.ADMIN_ALLOWED_IPS = ["192.0.2.0/24"]
    assert answer(path, REMOTE_ADDR="8.8.8.8") == 403
    assert answer(path, REMOTE_ADDR="192.0.2.1") == 200


def test_where_the_application_is_mounted_does_not_open_a_path(settings: Any) -> None:
    settings.ADMIN_ALLOWED_IPS = ["192.0.2.0/24"]
    # As daphne makes it of a client's header: the path begins with the mount point.
    mounted = {"SCRIPT_NAME": "/x", "REMOTE_ADDR": "8.8.8.8"}
    assert RequestFactory().get("/admin/", **mounted).path == "/x/admin/"
    assert answer("/admin/", **mounted) == 403


def test_other_pages_stay_open(settings: Any) -> None:
    settings.ADMIN_ALLOWED_IPS = ["192.0.2.0/24"]
    assert answer("/tokens/", REMOTE_ADDR="8.8.8.8") == 200


@pytest.mark.parametrize(("hops", "status"), [(0, 403), (1, 200)])
def test_a_forwarded_address_counts_only_behind_a_trusted_proxy(
    settings: Any, hops: int, status: int
) -> None:
    settings.ADMIN_ALLOWED_IPS = ["192.0.2.0/24"]
    settings.TRUSTED_PROXY_HOPS = hops
    found = answer("/admin/", REMOTE_ADDR="8.8.8.8", HTTP_X_FORWARDED_FOR="192.0.2.5")
    assert found == status


def test_a_mistyped_network_lets_nobody_in(settings: Any) -> None:
    settings.ADMIN_ALLOWED_IPS = ["10.0.0/8"]
    with pytest.raises(ValueError, match=r"10\.0\.0/8"):
        may_operate("10.1.2.3")
