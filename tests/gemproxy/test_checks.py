"""System checks find what is wrong with the settings, and show no secret."""

from typing import Any

import pytest
from django.core.checks import run_checks

from gemproxy import checks
from gemproxy.lib.env import Env


def ids(found: list[Any]) -> list[str]:
    return [message.id for message in found]


def texts(found: list[Any]) -> str:
    return " ".join(f"{message.msg} {message.hint}" for message in found)


def test_the_settings_of_the_tests_are_fine() -> None:
    assert [m for m in ids(run_checks()) if m.startswith("gemproxy.E")] == []


def test_a_mistyped_name_is_reported(settings: Any) -> None:
    settings.ENV = Env({"GEMPROXY_PROT": "1"})
    found = checks.check_names()
    assert ids(found) == ["gemproxy.W001"]
    assert "GEMPROXY_PROT is not a setting" in texts(found)


def test_a_short_encryption_key_is_an_error_that_hides_it(settings: Any) -> None:
    settings.ENCRYPTION_KEYS = [*settings.ENCRYPTION_KEYS, "too-short-key"]
    found = checks.check_keys()
    assert ids(found) == ["gemproxy.E001"]
    assert "entry 2" in texts(found)
    assert "too-short-key" not in texts(found)


@pytest.mark.parametrize("token", ["admin", "changeme-changeme-changeme-1", "a" * 40])
def test_a_weak_operator_token_is_an_error_that_hides_it(
    settings: Any, token: str
) -> None:
    settings.ADMIN_AUTH_TOKEN = token
    found = checks.check_keys()
    assert ids(found) == ["gemproxy.E002"]
    assert token not in texts(found)


def test_a_strong_operator_token_is_fine(settings: Any) -> None:
    settings.ADMIN_AUTH_TOKEN = "4f0c2a9e7b1d8365" * 3
    assert checks.check_keys() == []


@pytest.mark.parametrize(
    ("workers", "redis", "server", "expected"),
    [
        (1, "", "uvicorn", []),
        (1, "", "daphne", []),
        (4, "redis://x", "uvicorn", []),
        (2, "", "uvicorn", ["gemproxy.E003"]),
        (2, "redis://x", "daphne", ["gemproxy.E004"]),
        (2, "", "daphne", ["gemproxy.E003", "gemproxy.E004"]),
        (1, "", "gunicorn", ["gemproxy.E005"]),
    ],
)
def test_processes_need_redis_and_a_known_server(
    settings: Any, workers: int, redis: str, server: str, expected: list[str]
) -> None:
    settings.WORKERS, settings.REDIS_URL, settings.SERVER = workers, redis, server
    assert ids(checks.check_processes()) == expected


@pytest.mark.parametrize(
    ("networks", "errors"),
    [
        ([], 0),
        (["10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "10.1.2.3/8"], 0),
        (["10.0.0/8"], 1),
        (["office", "10.0.0.0/33"], 2),
    ],
)
def test_networks_of_operators_must_be_networks(
    settings: Any, networks: list[str], errors: int
) -> None:
    settings.ADMIN_ALLOWED_IPS = networks
    assert ids(checks.check_networks()) == ["gemproxy.E006"] * errors


def test_an_open_cors_setting_is_a_warning(settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["*"]
    assert ids(checks.check_networks()) == ["gemproxy.W002"]
    settings.CORS_ALLOWED_ORIGINS = ["https://a.example"]
    assert checks.check_networks() == []


def test_any_host_name_is_a_warning_in_deployment(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    assert ids(checks.check_hosts()) == ["gemproxy.W003"]
    settings.ALLOWED_HOSTS = ["gate.example"]
    assert checks.check_hosts() == []


@pytest.mark.parametrize(
    ("network", "hops", "debug", "expected"),
    [
        ("8.8.8.0/24", 0, False, []),
        ("2a00:1450::/32", 0, False, []),
        ("127.0.0.1", 0, False, ["gemproxy.E013"]),
        ("192.168.0.0/16", 0, False, ["gemproxy.E013"]),
        ("::1", 0, False, ["gemproxy.E013"]),
        ("192.168.0.0/16", 1, False, []),
        ("127.0.0.1", 0, True, []),
        ("0.0.0.0/0", 1, True, ["gemproxy.E012"]),
        ("::/0", 1, True, ["gemproxy.E012"]),
        ("office", 1, True, ["gemproxy.E009"]),
    ],
)
def test_what_may_stand_in_the_list_of_addresses(
    settings: Any, network: str, hops: int, debug: bool, expected: list[str]
) -> None:
    settings.WHITELIST_IPS = [network]
    settings.TRUSTED_PROXY_HOPS = hops
    settings.DEBUG = debug
    found = [one for one in checks.check_networks() if "WHITELIST" in one.msg]
    assert ids(found) == expected
