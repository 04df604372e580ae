"""SEC-5: what lets the gateway in is replaced, twice, under 100 orders a second, and no order fails.

A real gateway over a real venue. The keys that have left are revoked at the venue while the load goes on: had
anything still used them, it would be refused, and its stream would end.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from ordergate.wiring import demo
from tests.e2e.client import Rest
from tests.e2e.floor import ACCOUNT, Floor, floor
from tests.e2e.pacing import PACE

RATE_HZ: Final = 100
LEAST_S: Final = 2.0
STORED: Final = {
    "venue": {
        "kind": "alpaca",
        "requests_per_minute": 0,
        "resend_is_safe": True,
        "replace_keeps_fills": True,
        "prices": [{"feed": "v2/iex", "symbols": ["ESH4", "AAPL", "MSFT"]}],
    }
}
SETTLED: Final = {"working", "partially_filled", "filled"}


class Load:
    """An open loop: an order every ten milliseconds, whether or not the ones before were answered."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._under_way: set[asyncio.Task[None]] = set()
        self.answers: Counter[str] = Counter()
        self.orders: list[str] = []
        self.took_s = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        began, number = time.monotonic(), 0
        while not stop.is_set():
            task = asyncio.create_task(self._place(number))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            number += 1
            await PACE.sleep(max(0.0, began + number / RATE_HZ - time.monotonic()))
        self.took_s = time.monotonic() - began
        await asyncio.gather(*self._under_way)

    async def _place(self, number: int) -> None:
        order = {
            "account_id": ACCOUNT,
            "symbol": "AAPL",
            "side": "buy",
            "type": "limit",
            "quantity": "1",
            "limit_price": "170.00",
            "time_in_force": "day",
        }
        answer = await self._rest.place(order, key=f"rotation-order-{number:08d}")
        self.answers[f"{answer.status} {answer.code}".strip()] += 1
        if answer.order:
            self.orders.append(answer.order["id"])


@pytest.mark.timeout(300)
async def test_sec_5_no_order_fails_while_credentials_are_rotated_twice(tmp_path: Path) -> None:
    async def begin(it: Floor) -> None:
        await it.command("migrate")
        first = pair(it, "floor-key", "floor-secret")
        told = msgspec.json.decode(await it.command("credentials", "begin", "venue", "--from", first))
        assert told["state"] == "active"

    def plan(it: Floor) -> None:
        STORED["venue"]["url"] = f"http://127.0.0.1:{it.venue_port}"

    async with floor(tmp_path, plan=plan, before=begin, gateway={"brokers": STORED}) as it:
        rest = Rest(it)
        await rest.log_in()
        load, stop = Load(rest), asyncio.Event()
        loading = asyncio.create_task(load.run(stop))
        try:
            for old, new in (("floor-key", "second-key"), ("second-key", "third-key")):
                await PACE.sleep(LEAST_S)
                ended = await rotated(it, old, new)
                assert ended == {"streams_ended": 0}, "the stream was on the new key before the old one ended"
            await PACE.sleep(LEAST_S)
        finally:
            stop.set()
            await loading

        assert set(load.answers) == {"201"}, load.answers
        assert len(load.orders) == len(set(load.orders)) == load.answers["201"]
        assert len(load.orders) >= 0.9 * RATE_HZ * load.took_s, (len(load.orders), load.took_s)
        failed = await unsettled(rest, set(load.orders))
        assert failed == {}, "failed orders"
        ledger = await it.ledger()
        assert len(ledger.orders) == len(load.orders)
        assert len({order.ticket.client_order_id for order in ledger.orders}) == len(load.orders)
        assert nothing_is_plain(tmp_path / "postgres")
        figures = f"{len(load.orders)} orders in {load.took_s:.1f} s"
        (tmp_path / "figures.txt").write_text(figures, encoding="utf-8")


async def rotated(it: Floor, old: str, new: str) -> dict[str, Any]:
    """The operator's whole way: a new key at the broker, one command, the old key revoked at the broker."""
    made = {"account": demo.VENUE_ACCOUNT, "key": new, "secret": f"canary-{new}-secret"}
    await it.admin("POST", "keys", made)
    source = pair(it, new, made["secret"])
    told = msgspec.json.decode(await it.command("credentials", "rotate", "venue", "--from", source))
    assert told["state"] == "revoked"
    rows = msgspec.json.decode(await it.command("credentials", "list"))["credentials"]
    assert [row["state"] for row in rows] == ["active"]
    ended: dict[str, Any] = msgspec.json.decode(await it.admin("DELETE", f"keys/{old}"))
    return ended


def pair(it: Floor, key: str, secret: str) -> str:
    file = it.folder / "secrets" / f"{key}.json"
    file.write_text(json.dumps({"key_id": key, "secret_key": secret}), encoding="utf-8")
    return str(file)


async def unsettled(rest: Rest, ids: set[str]) -> dict[str, str]:
    """Orders that are not at the broker as they should be, once their news had time to come."""
    give_up_at = time.monotonic() + 30
    while True:
        found = await rest.every(f"/v1/orders?account_id={ACCOUNT}", "orders")
        failed = {
            order["id"]: order["status"]
            for order in found
            if order["id"] in ids and order["status"] not in SETTLED
        }
        missing = ids - {order["id"] for order in found}
        failed |= dict.fromkeys(missing, "missing")
        if not failed or time.monotonic() > give_up_at:
            return failed
        await PACE.sleep(0.2)


def nothing_is_plain(folder: Path) -> bool:
    """No file of the database holds a secret that was stored through it."""
    canaries = [b"canary-second-key-secret", b"canary-third-key-secret", b"floor-secret"]
    for file in folder.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert not any(canary in content for canary in canaries), file
    return True
