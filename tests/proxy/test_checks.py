"""System checks of the gateway's own settings."""

from typing import Any

import pytest

from gemproxy.checks import check_addresses
from proxy.checks import check_xai


def ids() -> list[str]:
    return [str(message.id) for message in check_xai()]


def test_nothing_is_wrong_by_default(settings: Any) -> None:
    assert settings.XAI_RESPONSE_FORMAT == "url"
    assert settings.XAI_CALLER_KEYS is False
    assert ids() == []


def test_pictures_cannot_be_stored_without_a_storage(settings: Any) -> None:
    settings.XAI_RESPONSE_FORMAT = "b64_json"
    (found,) = check_xai()
    assert found.id == "gemproxy.E020"
    assert "image storage" in found.msg
    assert "url" in found.hint


@pytest.mark.parametrize(
    ("addresses", "found"),
    [
        ([], ["gemproxy.E022"]),
        (["192.0.2.7"], []),
        (["192.0.2.0/24", "2001:db8::/32"], []),
        (["192.0.2.7", "nonsense"], ["gemproxy.E021"]),
    ],
)
def test_keys_in_place_of_tokens_need_good_addresses(
    settings: Any, addresses: list[str], found: list[str]
) -> None:
    settings.XAI_CALLER_KEYS = True
    settings.XAI_CALLER_IPS = addresses
    assert ids() == found


def test_an_address_of_xai_that_is_none_is_reported(settings: Any) -> None:
    settings.XAI_BASE_URL = "api.x.ai"
    assert [m.id for m in check_addresses()] == ["gemproxy.E008"]
    settings.XAI_BASE_URL = "https://api.x.ai"
    assert check_addresses() == []
