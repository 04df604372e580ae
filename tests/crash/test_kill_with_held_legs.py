"""kill -9 between a kill switch and the end of its sweep, while brackets hold legs back: none leaves.

Real processes: the venue goes on trading while the gateway is dead, its market passes the prices that
the held legs wait for, and its ledger says which orders ever came.
"""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from ordergate.telemetry.failpoints import VARIABLE
from ordergate.venue.faults import Fault
from ordergate.venue.words import VenueOrder
from tests.crash.test_groups_die import until_ended
from tests.e2e.books import until_agreed
from tests.e2e.client import Rest, Stream, clients
from tests.e2e.floor import ACCOUNT, Floor, floor
from tests.e2e.pacing import PACE

WAIT_S_MAX: Final = 60.0
DISTANCE: Final = Decimal("0.02")
WORKING: Final = frozenset({"new", "partially_filled"})

PAIRS: Final = 2
"""So many brackets that are long, that are short, and that wait for their entries."""

MASS_FAILS: Final = Fault(kind="error_before", scope="cancel", count=1)
"""Cancels are asked one by one, then."""
HALF_A_SWEEP: Final = Fault(kind="timeout_before", scope="cancel", skip=PAIRS, seconds=60)
"""The first cancels are carried out, and the others held until nobody waits for them."""


@pytest.mark.timeout(300)
async def test_no_held_leg_leaves_after_a_kill_whose_gateway_dies_before_and_within_its_sweep(
    tmp_path: Path,
) -> None:
    def armed(it: Floor) -> None:
        it.environment[VARIABLE] = "C13=die"  # engaged and durable, and no cancel asked for

    async with floor(tmp_path, plan=armed) as it, clients(it) as (rest, stream):
        await stream.watch_quotes(["AAPL"])
        await it.tape(paused=True)
        groups = {await placed(rest, kind, number) for number in range(PAIRS) for kind in KINDS}
        before = {order.id for order in await until_guarded(it)}
        price = middle(stream)

        asked = {"grade": "cancel_all", "reason": "legs are held"}
        answer = await rest.ask("POST", "/v1/kill-switch", key="kill-with-held-legs", body=asked)
        assert answer.status == 0, answer
        await it.until_dead()
        await it.tape(steps=200)
        await it.tape(paused=False)

        it.environment[VARIABLE] = ""
        await it.add_fault(MASS_FAILS)
        await it.add_fault(HALF_A_SWEEP)
        await it.start()
        working = await until_stuck(it)
        assert 0 < working < len(before) - 2 * PAIRS, "it died within the sweep"
        it.kill()
        await it.end_faults()

        await it.start()
        await it.until_ready()
        ended = await until_ended(it, rest)
        assert ended.keys() == groups
        assert {group["reason"] for group in ended.values()} == {"canceled"}
        stream.quotes.clear()
        await stream.watch_quotes(["AAPL"])
        await until_passed(stream, price)
        await it.tape(paused=True)
        _, theirs = await until_agreed(it, rest)
        assert {order.id for order in theirs.orders} == before, "a held leg left after the kill"
        assert not [order for order in theirs.orders if order.status in WORKING]
        assert (await rest.get("/v1/kill-switch"))["engaged"]
        await it.prove_journal()


def bracket(side: str, entry: dict[str, str], profit: str) -> dict[str, Any]:
    """The stop follows the market so closely that the next moves reach it, and so it is held here."""
    other = "sell" if side == "buy" else "buy"
    legs = [
        {"role": "entry", "side": side, **entry},
        {"role": "take_profit", "side": other, "type": "limit", "limit_price": profit},
        {"role": "stop_loss", "side": other, "type": "trailing_stop", "trail_amount": str(DISTANCE)},
    ]
    return {"account_id": ACCOUNT, "type": "bracket", "symbol": "AAPL", "quantity": "10", "legs": legs}


AT_ONCE: Final = {"type": "market", "time_in_force": "day"}
KINDS: Final = {
    "long": bracket("buy", AT_ONCE, "220"),
    "short": bracket("sell", AT_ONCE, "160"),
    "waiting": bracket("buy", {"type": "limit", "limit_price": "165", "time_in_force": "gtc"}, "220"),
}


async def placed(rest: Rest, kind: str, number: int) -> str:
    answer = await rest.ask("POST", "/v1/order-groups", key=f"held-legs-{kind}-{number}", body=KINDS[kind])
    assert answer.status == 201, answer
    return str(answer.body["id"])


async def until_guarded(it: Floor) -> list[VenueOrder]:
    """Every order at the venue, once each entry has filled or rests, and each filled one's exit rests."""
    give_up_at = time.monotonic() + WAIT_S_MAX
    while True:
        orders = (await it.ledger()).orders
        filled = sum(order.status == "filled" for order in orders)
        if filled == 2 * PAIRS and sum(order.status in WORKING for order in orders) == 3 * PAIRS:
            return orders
        assert time.monotonic() < give_up_at, f"{orders}\n{it.log('gateway')}"
        await PACE.sleep(0.05)


async def until_stuck(it: Floor) -> int:
    """How many orders work on, once a cancel was carried out and another one is held."""
    give_up_at = time.monotonic() + WAIT_S_MAX
    while True:
        held = (await it.faults())[-1].struck
        orders = (await it.ledger()).orders
        if held and any(order.status == "canceled" for order in orders):
            return sum(order.status in WORKING for order in orders)
        assert time.monotonic() < give_up_at, f"{held} {orders}\n{it.log('gateway')}"
        await PACE.sleep(0.02)


async def until_passed(stream: Stream, price: Decimal) -> None:
    """Until the market is further from where it was than a held stop would let it go."""
    give_up_at = time.monotonic() + WAIT_S_MAX
    while abs(middle(stream) - price) <= DISTANCE:
        assert time.monotonic() < give_up_at, f"{middle(stream)} is as near to {price} as a held leg"
        await PACE.sleep(0.02)


def middle(stream: Stream) -> Decimal:
    quote = stream.quotes["AAPL"]
    return (Decimal(quote["bid"]) + Decimal(quote["ask"])) / 2
