"""Access tokens of Google logins: kept fresh, and made once for all who need one."""

import asyncio
import logging
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import httpx

from accounts.credentials.cli_json import (
    CliCredential,
    dumped,
    id_claims,
    loaded,
)
from gemproxy.lib import clock
from proxy.errors import AccountRefused, UpstreamFault
from proxy.upstreams.base import AccountConfig, Timeouts, Way
from proxy.upstreams.flights import Flights
from proxy.upstreams.http import Clients, foreign_faults, read_all
from proxy.upstreams.streams import extensions, parsed
from proxy.wire.code_assist_errors import read_token_error
from proxy.wire.oauth import Tokens, exchange_form, read_tokens, refresh_form, user_url

logger = logging.getLogger(__name__)

#: An access token is changed so many seconds before its end.
AHEAD = 180.0
#: Whoever has the right to renew loses it after so long, should its process die.
CLAIM_SECONDS = 30.0
LOOK_AGAIN = 0.2
#: What is thought of an access token whose life the endpoint does not tell.
USUAL_LIFE = 1800.0
_TIMEOUTS = Timeouts(first_byte=20.0, idle=20.0, total=25.0)


class StoreAway(Exception):
    """The store of credentials does not answer."""


class CredentialStore(Protocol):
    """Where credentials last. Every method raises StoreAway, or LookupError for an
    account that is gone."""

    async def read(self, account_id: int) -> str:
        """Return the secret as it is stored now."""
        ...

    async def claim(self, account_id: int, seconds: float) -> str | None:
        """Take the sole right to renew a secret, among all processes, for so long.

        Return the secret as stored; None while another process has the right.
        """
        ...

    async def replace(self, account_id: int, old: str, new: str) -> bool:
        """Store ``new`` if ``old`` is still what is stored; return whether it was."""
        ...

    async def release(self, account_id: int) -> None:
        """Give the right to renew back."""
        ...

    async def note(self, account_id: int, facts: dict[str, Any]) -> None:
        """Keep what was found out about an account, for people to see."""
        ...


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """The program that a person agreed to; a login holds only with its own."""

    id: str = ""
    secret: str = field(default="", repr=False)


class TokenEndpoint:
    """Asks Google for tokens."""

    def __init__(
        self, clients: Clients, url: str, own: OAuthClient, user_agent: str
    ) -> None:
        """``own`` is the client of logins that bring none along."""
        self._clients = clients
        self.url = url
        self.own = own
        self._user_agent = user_agent

    async def refresh(self, login: CliCredential, way: Way) -> CliCredential:
        """Return the login with a new access token. Raises faults."""
        client = self._client_of(login)
        form = refresh_form(login.refresh_token, client.id, client.secret)
        return _renewed(login, await self._tokens(form, way))

    async def exchange(
        self, code: str, *, redirect_uri: str, verifier: str, way: Way
    ) -> CliCredential:
        """Return the login that an authorization code stands for. Raises faults."""
        own = self.own
        form = exchange_form(
            code,
            client_id=own.id,
            client_secret=own.secret,
            redirect_uri=redirect_uri,
            verifier=verifier,
        )
        tokens = await self._tokens(form, way)
        if not tokens.refresh_token:
            raise AccountRefused("Google gave no refresh token.", cause="login_policy")
        login = CliCredential(
            refresh_token=tokens.refresh_token,
            client_id=own.id,
            client_secret=own.secret,
        )
        return _renewed(login, tokens)

    async def email(self, login: CliCredential, way: Way) -> str:
        """Return the e-mail address of a login; empty if Google does not say."""
        request = httpx.Request(
            "GET",
            user_url(self.url),
            headers={
                "authorization": f"Bearer {login.access_token}",
                "user-agent": self._user_agent,
            },
            extensions=extensions(_TIMEOUTS),
        )
        status, body = await self._send(request, way)
        return str(parsed(body).get("email") or "") if status == 200 else ""

    def _client_of(self, login: CliCredential) -> OAuthClient:
        if login.client_id and login.client_secret:
            return OAuthClient(login.client_id, login.client_secret)
        if self.own.secret and login.client_id in ("", self.own.id):
            return self.own
        raise AccountRefused(
            "The login's OAuth client is not known: import it with client_id and"
            " client_secret, or set GEMINI_CLI_CLIENT_ID and GEMINI_CLI_CLIENT_SECRET.",
            blame="gateway",
            cause="oauth_config",
        )

    async def _tokens(self, form: bytes, way: Way) -> Tokens:
        request = httpx.Request(
            "POST",
            self.url,
            headers={
                "content-type": "application/x-www-form-urlencoded",
                "user-agent": self._user_agent,
            },
            stream=httpx.ByteStream(form),
            extensions=extensions(_TIMEOUTS),
        )
        status, body = await self._send(request, way)
        if status != 200:
            raise read_token_error(status, body)
        return read_tokens(body)

    async def _send(self, request: httpx.Request, way: Way) -> tuple[int, bytes]:
        with foreign_faults():
            transport = self._clients.transport(way.proxy_url, way.ca_pem)
            response = await transport.handle_async_request(request)
        return response.status_code, await read_all(response)


class Logins:
    """The logins of accounts with a usable access token, for one event loop.

    One renewal at a time runs for an account, in this process and, by the store's
    claim, in all; everybody else waits for its outcome.
    """

    def __init__(self, endpoint: TokenEndpoint, store: CredentialStore | None) -> None:
        """Without a store renewed tokens last as long as this object."""
        self.endpoint = endpoint
        self._store = store
        # By account: the secret that we were given, and the newest login made of it.
        self._known: dict[int, tuple[str, CliCredential]] = {}
        self._renewals: Flights[CliCredential] = Flights()

    async def fresh(
        self, account: AccountConfig, *, refused: str = "", ahead: float = AHEAD
    ) -> CliCredential:
        """Return the account's login, its access token good for ``ahead`` seconds.

        ``refused`` is an access token that the provider did not take. Raises faults.
        """
        login = self.current(account)
        if _usable(login, refused, ahead):
            return login
        return await self._renewals.share(
            account.id, lambda: self._renew(account, refused, ahead)
        )

    async def keep(self, account: AccountConfig, login: CliCredential) -> None:
        """Store what was found out beside the tokens: the project, the e-mail."""
        if self._store is None:
            self._remember(account, login)
            return
        try:
            stored = await self._store.read(account.id)
            now = loaded(stored)
            if now.refresh_token == login.refresh_token:
                found = replace(now, project_id=login.project_id, email=login.email)
                self._remember(account, found)
                await self._store.replace(account.id, stored, dumped(found))
        except (StoreAway, LookupError):
            self._remember(account, login)

    async def note(self, account: AccountConfig, facts: dict[str, Any]) -> None:
        """Keep facts for people; nothing fails for want of them."""
        if self._store is None:
            return
        try:
            await self._store.note(account.id, facts)
        except (StoreAway, LookupError) as error:
            logger.warning("Facts of account %d not kept: %s", account.id, error)

    async def aclose(self) -> None:
        """Stop renewals that run."""
        await self._renewals.aclose()

    def current(self, account: AccountConfig) -> CliCredential:
        """Return the login that the secret means, or what was made of it since.

        Raises AccountRefused for a secret that is no login.
        """
        given, login = self._known.get(account.id, ("", None))
        if login is not None and given == account.secret:
            return login
        fresh = read_login(account.secret)
        if login is not None and _supersedes(login, fresh):
            fresh = login
        self._known[account.id] = account.secret, fresh
        return fresh

    def _remember(self, account: AccountConfig, login: CliCredential) -> None:
        self._known[account.id] = account.secret, login

    async def _renew(
        self, account: AccountConfig, refused: str, ahead: float
    ) -> CliCredential:
        if self._store is None:
            login = self.current(account)
            made = await self.endpoint.refresh(login, account.way)
            self._remember(account, made)
            return made
        stored = await self._claimed(self._store, account, refused, ahead)
        if isinstance(stored, CliCredential):
            self._remember(account, stored)
            return stored
        try:
            return await self._made(self._store, account, stored, refused, ahead)
        finally:
            await _released(self._store, account.id)

    async def _claimed(
        self, store: CredentialStore, account: AccountConfig, refused: str, ahead: float
    ) -> str | CliCredential:
        """Return the stored secret once we may renew it, or what another made of it."""
        deadline = clock.monotonic() + CLAIM_SECONDS + 2 * LOOK_AGAIN
        while clock.monotonic() < deadline:
            try:
                stored = await store.claim(account.id, CLAIM_SECONDS)
                if stored is not None:
                    return stored
                login = read_login(await store.read(account.id))
            except StoreAway:
                return account.secret
            except LookupError as error:
                raise _gone() from error
            if _usable(login, refused, ahead):
                return login
            await asyncio.sleep(LOOK_AGAIN)
        raise UpstreamFault(
            "Another process has not renewed the sign-in in time.",
            cause="token_endpoint",
        )

    async def _made(
        self,
        store: CredentialStore,
        account: AccountConfig,
        stored: str,
        refused: str,
        ahead: float,
    ) -> CliCredential:
        login = read_login(stored)
        if _usable(login, refused, ahead):
            self._remember(account, login)
            return login
        made = await self.endpoint.refresh(login, account.way)
        try:
            kept = await store.replace(account.id, stored, dumped(made))
        except StoreAway:
            logger.warning("A renewed sign-in of account %d is not kept", account.id)
            kept = True
        except LookupError as error:
            raise _gone() from error
        if kept:
            self._remember(account, made)
        return made


def read_login(secret: str) -> CliCredential:
    """Return the login of an account's secret; raise AccountRefused if it is none."""
    try:
        return loaded(secret)
    except ValueError:
        raise AccountRefused(
            "The stored login cannot be read.", cause="login_expired"
        ) from None


def _usable(login: CliCredential, refused: str, ahead: float) -> bool:
    if not login.access_token or login.access_token == refused:
        return False
    return login.expires_at > clock.now().timestamp() + ahead


def _supersedes(known: CliCredential, given: CliCredential) -> bool:
    """Whether what we know is newer than a secret that somebody read before it."""
    same = known.refresh_token == given.refresh_token
    return same and known.expires_at > given.expires_at


def _renewed(login: CliCredential, tokens: Tokens) -> CliCredential:
    told = id_claims(tokens.id_token).get("email")
    return replace(
        login,
        access_token=tokens.access_token,
        expires_at=clock.now().timestamp() + (tokens.seconds or USUAL_LIFE),
        refresh_token=tokens.refresh_token or login.refresh_token,
        email=login.email or (told.lower() if isinstance(told, str) else ""),
    )


async def _released(store: CredentialStore, account_id: int) -> None:
    try:
        await store.release(account_id)
    except (StoreAway, LookupError):
        logger.info("The claim on account %d ends by itself", account_id)


def _gone() -> AccountRefused:
    return AccountRefused("The account has been deleted.", cause="refused_unclear")
