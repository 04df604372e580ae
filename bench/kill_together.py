"""How long a stop takes from one gateway to another that stops together with it.

    python -m bench.kill_together --rounds 20

Two houses as `ordergate run` starts them, each with a database of its own, and a third by which they stop
together. One client stops everything at the first; another asks the second again and again for an order.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console

from bench import kill
from bench.figures import commit
from ordergate.cli.profiles import Profile
from ordergate.cli.rehearsal import Person
from ordergate.journal.embedded import EmbeddedPostgres
from ordergate.wiring.gateway import migrate_all

PATIENCE_S: Final = 30.0
PLACED: Final = 201


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.kill_together", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--results", type=Path, default=kill.RESULTS)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="og-kill-") as folder:
        took = asyncio.run(_measure(Path(folder), asked.rounds))
    now = datetime.now(UTC)
    figures = {
        "at": now.isoformat().replace("+00:00", "Z"),
        "commit": commit(),
        "scene": "together",
        "rounds": asked.rounds,
        "refused_elsewhere_ms": {
            "median": round(statistics.median(took), 1),
            "longest": round(max(took), 1),
        },
    }
    file = asked.results / f"kill-{now:%Y%m%dT%H%M%SZ}-together-{asked.rounds}.json"
    file.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    Console().print(figures)


async def _measure(folder: Path, rounds: int) -> list[float]:
    async with EmbeddedPostgres(folder / "postgres") as server:
        shared = await _database(server, folder, "together")
        for name in ("east", "west"):
            own = await _database(server, folder, name)
            stops = {"two_persons": False, "shared_database_url": {"file": shared}}
            kill.prepare(folder / name, database_url={"file": own}, kill_switch=stops)
        with kill.house(folder / "east") as east, kill.house(folder / "west") as west:
            one, other = _person(east), _person(west)
            try:
                for person in (one, other):
                    await person.log_in()
                return [await _round(one, other) for _ in range(rounds)]
            finally:
                await one.close()
                await other.close()


async def _round(one: Person, other: Person) -> float:
    """Milliseconds from the stop, as its client sends it, to the first refusal at the other gateway."""
    await _until(other, taken=True)
    began = time.perf_counter()
    stop = asyncio.create_task(one.ask("POST", "/v1/kill-switch", {"grade": "block_new", "reason": "bench"}))
    await _until(other, taken=False)
    took = (time.perf_counter() - began) * 1_000
    await stop
    for person in (one, other):
        await person.ask("POST", "/v1/kill-switch/release", {"reason": "over"})
    return took


async def _until(person: Person, *, taken: bool) -> None:
    order = {
        "account_id": person.profile.account_id,
        "symbol": "AAPL",
        "side": "buy",
        "type": "limit",
        "quantity": "1",
        "limit_price": "100.00",
        "time_in_force": "gtc",
    }
    async with asyncio.timeout(PATIENCE_S):
        while ((await person.ask("POST", "/v1/orders", order))[0] == PLACED) is not taken:
            await asyncio.sleep(0)


def _person(running: dict[str, Any]) -> Person:
    return Person(msgspec.convert(running, Profile, strict=False))


async def _database(server: EmbeddedPostgres, folder: Path, name: str) -> str:
    """A migrated database; the file that has its address."""
    address = await server.database(name)
    await migrate_all(address)
    file = folder / f"{name}-url"
    file.write_text(address, encoding="utf-8")
    return str(file)


if __name__ == "__main__":
    main()
