"""SEC-5: what lets the gateway in is replaced, twice, under 100 orders a second, and no order fails.

A real gateway over a real venue. The keys that have left are revoked at the venue while the load goes on: had
anything still used them, it would be refused, and its stream would end. How long it takes is among the
results of `bench/rotation.py`.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from ordergate.wiring import demo
from tests.e2e.floor import Floor, floor
from tests.e2e.ground import STORED, Load, logged_in, pair, unsettled
from tests.e2e.pacing import PACE

LEAST_S: Final = 2.0


@pytest.mark.timeout(300)
async def test_sec_5_no_order_fails_while_credentials_are_rotated_twice(tmp_path: Path) -> None:
    async def begin(it: Floor) -> None:
        await it.command("migrate")
        first = pair(it, "floor-key", "floor-secret")
        told = msgspec.json.decode(await it.command("credentials", "begin", "venue", "--from", first))
        assert told["state"] == "active"

    broker = dict(STORED)

    def plan(it: Floor) -> None:
        broker["url"] = f"http://127.0.0.1:{it.venue_port}"

    async with floor(tmp_path, plan=plan, before=begin, gateway={"brokers": {"venue": broker}}) as it:
        rest = await logged_in(it)
        load, stop = Load(rest), asyncio.Event()
        loading = asyncio.create_task(load.run(stop))
        try:
            for old, new in (("floor-key", "second-key"), ("second-key", "third-key")):
                await PACE.sleep(LEAST_S)
                taken = load.answers["201"]
                ended = await rotated(it, old, new)
                assert load.answers["201"] > taken, "orders went on meanwhile"
                assert ended == {"streams_ended": 0}, "the stream was on the new key before the old one ended"
            await PACE.sleep(LEAST_S)
        finally:
            stop.set()
            await loading

        assert set(load.answers) == {"201"}, load.answers
        assert len(load.orders) == len(set(load.orders)) == load.answers["201"]
        failed = await unsettled(rest, set(load.orders))
        assert failed == {}, "failed orders"
        ledger = await it.ledger()
        assert len(ledger.orders) == len(load.orders)
        assert len({order.ticket.client_order_id for order in ledger.orders}) == len(load.orders)
        assert nothing_is_plain(tmp_path / "postgres")


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


def nothing_is_plain(folder: Path) -> bool:
    """No file of the database holds a secret that was stored through it."""
    canaries = [b"canary-second-key-secret", b"canary-third-key-secret", b"floor-secret"]
    for file in folder.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert not any(canary in content for canary in canaries), file
    return True
