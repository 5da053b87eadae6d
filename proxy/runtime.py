"""What one server process runs beside its requests; started once, stopped once."""

import asyncio
import logging
from functools import cached_property

from django.conf import settings

from accounts.authentication import Door
from accounts.feed import Feed
from gemproxy.lib import db
from proxy.catalog import Catalog
from proxy.gateway import Gateway
from proxy.ledger import Ledger
from proxy.scheduling.incident_log import IncidentLog
from proxy.scheduling.pool import Pool
from proxy.scheduling.prober import Prober
from proxy.scheduling.shared import SharedWindows
from proxy.scheduling.store import Store
from proxy.tasks import Tasks
from proxy.upstreams.http import Clients

logger = logging.getLogger(__name__)

SETTLE_SECONDS = 3.0
FLUSH_SECONDS = 5.0


class Runtime:
    """The gateway of this process with all that feeds it."""

    def __init__(self) -> None:
        self.door = Door()
        self.started = False
        self._starting: asyncio.Task[None] | None = None

    @cached_property
    def gateway(self) -> Gateway:
        url = settings.REDIS_URL
        pool = Pool(
            Clients(),
            shared=SharedWindows(url) if url else None,
            store=Store(),
            strategy=settings.POOL_STRATEGY,
        )
        return Gateway(Catalog(), pool, Ledger.configured(), self._incidents)

    @cached_property
    def _tasks(self) -> Tasks:
        return Tasks()

    @cached_property
    def _incidents(self) -> IncidentLog:
        return IncidentLog(self._tasks.spawn)

    @cached_property
    def _prober(self) -> Prober:
        return Prober(self.gateway.pool, self.gateway.dispatch.guard)

    @cached_property
    def _feed(self) -> Feed:
        return Feed()

    async def start(self) -> None:
        """Load what requests need and begin to follow changes; idempotent.

        Servers of ours call it before they accept; under a foreign one the first
        request does.
        """
        if self.started:
            return
        if self._starting is None:
            self._starting = asyncio.ensure_future(self._start())
        try:
            await asyncio.shield(self._starting)
        except asyncio.CancelledError:
            raise
        except BaseException:
            # The next request tries again: a database may come up after us.
            self._starting = None
            await self._forget()
            raise

    async def stop(self) -> None:
        """Let running work settle, then flush the ledger; idempotent."""
        if not self.started:
            return
        self.started, self._starting = False, None
        gateway = self.gateway
        await self._prober.stop()
        gateway.shelf.close()
        left = await gateway.tasks.finish(SETTLE_SECONDS)
        if left:
            logger.warning("%d requests did not settle in time", left)
        await asyncio.to_thread(gateway.ledger.stop, FLUSH_SECONDS)
        await gateway.pool.aclose()
        await self._tasks.finish(SETTLE_SECONDS)
        await self._forget()

    async def _forget(self) -> None:
        """Stop following changes; a new start makes everything anew."""
        feed = self.__dict__.pop("_feed", None)
        for name in ("gateway", "_prober", "_incidents", "_tasks"):
            self.__dict__.pop(name, None)
        if feed is not None:
            await asyncio.to_thread(feed.stop)

    async def _start(self) -> None:
        gateway, feed = self.gateway, self._feed
        self._subscribe()
        # Follow changes first: what changes while we load is then loaded again.
        await db.run(feed.start)
        await db.run(self._load)
        await gateway.pool.seed_shared()
        gateway.ledger.start()
        self._prober.start()
        self.started = True
        logger.info(
            "gemproxy %s: %d accounts, %d models",
            settings.VERSION,
            gateway.pool.size(),
            len(gateway.catalog.models()),
        )

    def _load(self) -> None:
        self.gateway.catalog.load()
        self.gateway.pool.load()
        self.gateway.pool.restore()
        self._incidents.end_all()

    def _subscribe(self) -> None:
        gateway, feed = self.gateway, self._feed
        for topic in ("token", "user", "plan"):
            feed.subscribe(topic, self.door.forget)
        feed.subscribe("route", gateway.catalog.load)
        feed.subscribe("account", gateway.pool.load)
        feed.subscribe("cool_down", gateway.pool.load_rests)
        feed.subscribe("limit", gateway.pool.load_limits)


runtime = Runtime()
