"""What choosing an account costs: `python -m tests.bench.selection`.

Prints microseconds of CPU per lease and its finish, in memory, without a database.
"""

import argparse
import asyncio
import os
import time
from collections import deque
from typing import Any

AT_ONCE = 50


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.selection")
    parser.add_argument("--accounts", type=int, default=5000)
    parser.add_argument("--leases", type=int, default=20_000)
    return parser.parse_args()


def fill(pool: Any, accounts: int, **fields: Any) -> None:
    """Give a pool that many accounts; ``fields`` as of ``Member``."""
    from proxy.scheduling.slots import Member
    from proxy.upstreams.base import AccountConfig

    members = [
        Member(
            id=number,
            kind="gemini_api",
            config=AccountConfig(id=number, kind="gemini_api", secret=f"key-{number}"),
            **fields,
        )
        for number in range(1, accounts + 1)
    ]
    pool._roster.replace(members, None, time.time())


async def measure(pool: Any, leases: int, model: str) -> tuple[float, int]:
    """Return the CPU µs of a lease with its finish, and how many got none."""
    from proxy.catalog import RoutePlan, TargetPlan

    target = TargetPlan(kind="gemini_api", upstream_model=model)
    info: Any = None
    route = RoutePlan(name="r", category="text", targets=(target,), info=info)
    needs: frozenset[str] = frozenset()
    # The slots of a model are made when it is first asked for.
    pool.finish(await pool.lease(route, needs, set()), None)
    held: deque[Any] = deque()
    refused = 0
    began = time.process_time()
    for _ in range(leases):
        lease = await pool.lease(route, needs, set(), tokens=100)
        if lease is None:
            refused += 1
        else:
            held.append(lease)
        if len(held) == AT_ONCE:
            pool.finish(held.popleft(), None, latency_ms=300, tokens=120)
    spent = time.process_time() - began
    while held:
        pool.finish(held.popleft(), None)
    return spent / leases * 1e6, refused


async def main(given: argparse.Namespace) -> None:
    from proxy.scheduling.pool import Pool
    from proxy.scheduling.quota import Limits
    from proxy.scheduling.selection import STRATEGIES
    from proxy.upstreams.http import Clients

    cases: dict[str, dict[str, Any]] = {
        "no limits": {},
        "15 a minute": {"limits": Limits(rpm=15, tpm=250_000, rpd=1000)},
        "2 at once": {"concurrency": 2, "limits": Limits(rpm=1000)},
        "all limited": {"limits": Limits(rpm=1)},
    }
    for strategy in STRATEGIES:
        for name, fields in cases.items():
            pool = Pool(Clients(), strategy=strategy)
            fill(pool, given.accounts, **fields)
            cost, refused = await measure(pool, given.leases, f"{strategy} {name}")
            print(f"{strategy:12} {name:12} {cost:7.1f} µs, {refused} refused")
            await pool.aclose()


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()
    asyncio.run(main(arguments()))
