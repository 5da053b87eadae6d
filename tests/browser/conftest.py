"""A browser, and people who are signed in to it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from tests.browser.chromium import Page, chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    """One browser for all tests of a file."""
    with chromium() as page:
        yield page


@pytest.fixture
def page(browser: Page, live_server: Any) -> Page:
    """The browser without cookies and complaints, at the size of a desk."""
    browser.call("Network.clearBrowserCookies")
    browser.look(1280, 900)
    browser.open("about:blank")
    browser.problems.clear()
    return browser


@pytest.fixture
def enter(page: Page, live_server: Any) -> Callable[[Any], Page]:
    """Sign a person in without the form."""

    def enter(person: Any) -> Page:
        client = Client()
        client.force_login(person)
        name = settings.SESSION_COOKIE_NAME
        page.cookie(live_server.url, name, client.cookies[name].value)
        return page

    return enter
