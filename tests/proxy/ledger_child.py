"""A process that records rows until it is killed, and says which are safe."""

import asyncio
import os
import sys
from pathlib import Path

import django


async def _record(folder: Path, wait: float) -> None:
    from proxy.ledger import Ledger
    from tests.usage import entry

    ledger = Ledger(folder, wait)
    ledger.start()

    async def one(number: int) -> None:
        row = entry(request_id=f"child-{number}")
        await ledger.record(row)
        os.write(1, f"{row.request_id}\n".encode())

    for start in range(0, 100_000, 8):
        await asyncio.gather(*(one(number) for number in range(start, start + 8)))


if __name__ == "__main__":
    django.setup()
    asyncio.run(_record(Path(sys.argv[1]), float(sys.argv[2])))
