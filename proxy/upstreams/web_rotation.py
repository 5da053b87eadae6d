"""Renewing the cookies of a web account, as the site's own page does every ten minutes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from curl_cffi import CurlFollow, CurlHttpVersion
from curl_cffi.requests import AsyncSession
from gemini_webapi.constants import BROWSER_TYPE, Endpoint, Headers

from accounts.credentials.cookies import WebCookies
from proxy.upstreams.web_guard import bounded, library_faults
from proxy.wire.web_errors import fault_of

SECONDS = 30.0

_BODY = '[000,"-0000000000000000000"]'
_PSIDTS, _PSIDCC = "__Secure-1PSIDTS", "__Secure-1PSIDCC"
#: Stands in the page of somebody who is signed in, and only there.
_SIGNED_IN = '"SNlM0e":'


async def renewed(
    cookies: WebCookies, *, proxy_url: str = "", ca_file: str = ""
) -> WebCookies:
    """Return the cookies after one rotation: the same ones if Google gave no new.

    Without the cookie that rotates the site's page is opened instead, which keeps the
    session alive. Raises the fault that the answer means.
    """
    with library_faults():
        async with _session(cookies, proxy_url, ca_file) as session:
            if not cookies.psidts:
                await bounded(_show_life(session), SECONDS)
            else:
                await bounded(_rotate(session), SECONDS)
            return replace(
                cookies,
                psidts=_value(session, _PSIDTS) or cookies.psidts,
                psidcc=_value(session, _PSIDCC) or cookies.psidcc,
            )


async def check_alive(
    cookies: WebCookies, *, proxy_url: str = "", ca_file: str = ""
) -> None:
    """Open the site's page; raise the fault if it does not know the account."""
    with library_faults():
        async with _session(cookies, proxy_url, ca_file) as session:
            await bounded(_show_life(session), SECONDS)


async def _rotate(session: Any) -> None:
    response = await session.post(
        Endpoint.ROTATE_COOKIES, headers=Headers.ROTATE_COOKIES.value, data=_BODY
    )
    if response.status_code == 401:
        raise fault_of("AuthError")
    if response.status_code != 200:
        raise fault_of("http", response.status_code)


async def _show_life(session: Any) -> None:
    response = await session.get(Endpoint.INIT, headers=Headers.GEMINI.value)
    if response.status_code != 200:
        raise fault_of("http", response.status_code)
    if _SIGNED_IN not in response.text:
        raise fault_of("guest")


@asynccontextmanager
async def _session(
    cookies: WebCookies, proxy_url: str, ca_file: str
) -> AsyncIterator[Any]:
    """A session as the pinned package makes it, with the account's cookies."""
    session = AsyncSession(
        impersonate=BROWSER_TYPE,
        proxy=proxy_url or None,
        allow_redirects=CurlFollow.SAFE,
        http_version=CurlHttpVersion.NONE,
        verify=ca_file or True,
    )
    try:
        for name, value in cookies.named().items():
            session.cookies.set(name, value, domain=".google.com", secure=True)
        yield session
    finally:
        await session.close()


def _value(session: Any, name: str) -> str:
    """Return the newest value of a cookie in the session's jar."""
    found = [cookie.value for cookie in session.cookies.jar if cookie.name == name]
    return found[-1] or "" if found else ""
