"""A program for a network of its own: asks hosts over the product's HTTP client and says how each ended.

python -m tests.isolation.asking http://venue.test:8100 http://elsewhere.test:8100
"""

from __future__ import annotations

import asyncio
import sys

from yarl import URL

from ordergate.brokers._shared.http import HttpClient
from ordergate.brokers._shared.lines import HttpLimits
from ordergate.brokers._shared.rate import Allowance
from ordergate.wiring.system import SystemClock


async def ask(url: str) -> str:
    """Without the list of the client's own, as if that barrier were gone."""
    allowance = Allowance(per_minute=1_000, clock=SystemClock(), reserve=0.2)
    client = HttpClient(URL(url), headers={}, allowance=allowance, limits=HttpLimits())
    try:
        return type(await client.ask("GET", "/")).__name__
    finally:
        await client.close()


async def main(urls: list[str]) -> None:
    for url in urls:
        sys.stdout.write(f"{await ask(url)}\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
