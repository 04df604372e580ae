"""kill -9 of the gateway while brackets live: none is left behind, and none exits twice.

Real processes: the venue goes on trading while the gateway is dead, and has the last word.
"""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from tests.dose import dose
from tests.e2e.books import until_agreed
from tests.e2e.client import Rest, clients
from tests.e2e.floor import ACCOUNT, Floor, floor, repeatable
from tests.e2e.pacing import PACE

AT_ONCE: Final = 5
END_S_MAX: Final = 90.0
TRIES: Final = 50


@pytest.mark.timeout(600)
async def test_brackets_of_a_gateway_killed_again_and_again_exit_what_was_entered_and_no_more(
    tmp_path: Path,
) -> None:
    with repeatable("groups die") as seed:
        chance = Random(seed)
        async with floor(tmp_path) as it, clients(it) as (rest, stream):
            await stream.watch_quotes(["AAPL", "MSFT"])
            placed: set[str] = set()
            for number in range(dose(3, 60)):
                for one in range(AT_ONCE):
                    placed.add(await bought(rest, f"groups-die-{seed}-{number}-{one}"))
                await PACE.sleep(chance.uniform(0, 1.5))
                it.kill()
                await it.start()
                await it.until_ready()
            await PACE.sleep(2)
            flat = await rest.ask(
                "POST", f"/v1/accounts/{ACCOUNT}/flatten", key=f"flat-{seed}-at-last", body={}
            )
            assert flat.status == 202, flat
            groups = await until_ended(it, rest)
            assert groups.pop(flat.body["id"])["reason"] == "completed"
            assert groups.keys() == placed
            assert "completed" in {group["reason"] for group in groups.values()}
            await it.tape(paused=True)
            mine, _ = await until_agreed(it, rest)
            for group in groups.values():
                check(group, {order["id"]: order for order in mine.orders})
            assert not [order for order in mine.orders if order["status"] == "working"]
            assert all(Decimal(one["quantity"]) == 0 for one in mine.positions)
            await it.prove_journal()


async def bought(rest: Rest, key: str) -> str:
    """A bracket whose stop trails so closely that the market reaches it soon."""
    symbol = "AAPL" if key[-1] in "024" else "MSFT"
    profit = "220" if symbol == "AAPL" else "430"
    legs = [
        {"role": "entry", "side": "buy", "type": "market", "time_in_force": "day"},
        {"role": "take_profit", "side": "sell", "type": "limit", "limit_price": profit},
        {"role": "stop_loss", "side": "sell", "type": "trailing_stop", "trail_amount": "0.02"},
    ]
    body = {"account_id": ACCOUNT, "type": "bracket", "symbol": symbol, "quantity": "10", "legs": legs}
    denials = 0
    for _ in range(TRIES):
        answer = await rest.ask("POST", "/v1/order-groups", key=f"{key}-{denials}", body=body)
        if answer.status == 201:
            return str(answer.body["id"])
        assert answer.status in (0, 503) or answer.code == "risk-denied", answer
        denials += answer.status == 422  # no price yet, or not reconciled yet: that key is used up
        await PACE.sleep(0.2)
    raise AssertionError("it is never accepted")


async def until_ended(it: Floor, rest: Rest) -> dict[str, dict[str, Any]]:
    """Every group that was accepted, by id, once none of them is active."""
    give_up_at = time.monotonic() + END_S_MAX
    while True:
        groups = await rest.every(f"/v1/order-groups?account_id={ACCOUNT}", "groups")
        active = [group for group in groups if group["status"] == "active"]
        if not active:
            return {group["id"]: group for group in groups if group["status"] == "ended"}
        assert time.monotonic() < give_up_at, f"still active: {active[:3]}\n{it.log('gateway')}"
        await PACE.sleep(0.2)


def check(group: dict[str, Any], orders: dict[str, dict[str, Any]]) -> None:
    """What the legs really filled, by the orders that both ledgers agree on."""
    filled = {"buy": Decimal(0), "sell": Decimal(0)}
    for one in group["orders"]:
        if one["order_id"] in orders:
            filled[one["side"]] += Decimal(orders[one["order_id"]]["cum_qty"])
    assert filled["sell"] <= filled["buy"], group
    if group["reason"] == "completed":
        assert filled["sell"] == filled["buy"], group
