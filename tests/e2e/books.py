"""Holds the gateway's books against the venue's own ledger, and every account sum against itself.

Neither side is believed: positions and cash are also computed here, from the executions alone, with
exact fractions and no code of the product. What differs is said in words, one line each.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import msgspec

from ordergate.core.ids import Env, parse_cl_ord_id
from ordergate.venue.faces.admin import AccountLedger
from ordergate.venue.words import VenueOrder
from ordergate.wiring import demo
from tests.e2e.client import Rest
from tests.e2e.floor import ACCOUNT, CASH, Floor
from tests.e2e.pacing import PACE
from tests.e2e.watcher import Watcher

UNSETTLED: Final = frozenset({"accepted", "unknown", "pending_cancel", "pending_replace"})
NEVER_THERE: Final = frozenset({"denied", "rejected"})
CENT: Final = Fraction(1, 100)
DISPLAYED: Final = Fraction(1, 10**9)
SETTLE_S_MAX: Final = 60.0
ORDER_ID: Final = re.compile(r"P-[0-9A-Z]{18}")
LISTED: Final[Mapping[str, Mapping[str, str]]] = {one["symbol"]: one for one in demo.INSTRUMENTS}
STATUS: Final[Mapping[str, str]] = {
    "new": "working",
    "partially_filled": "working",
    "filled": "filled",
    "canceled": "canceled",
    "expired": "expired",
}


class Ours(msgspec.Struct, frozen=True, kw_only=True):
    """The account as the gateway's REST routes show it."""

    orders: list[dict[str, Any]]
    executions: list[dict[str, Any]]
    positions: list[dict[str, Any]]
    cash: str
    seq: int
    breaks: list[Any]


async def ours(rest: Rest) -> Ours:
    """All routes as of one moment: read again when an event came in between."""
    account = f"/v1/accounts/{ACCOUNT}"
    while True:
        shown = await rest.get(account)
        found = Ours(
            orders=await rest.every(f"/v1/orders?account_id={ACCOUNT}", "orders"),
            executions=await rest.every(f"{account}/executions", "executions"),
            positions=(await rest.get(f"{account}/positions"))["positions"],
            cash=(await rest.get(f"{account}/balances"))["balances"][0]["cash"],
            seq=shown["seq"],
            breaks=shown["breaks"],
        )
        if (await rest.get(account))["seq"] == found.seq:
            return found


async def until_agreed(
    floor: Floor, rest: Rest, timeout_s: float = SETTLE_S_MAX
) -> tuple[Ours, AccountLedger]:
    """Wait until both sides say the same of everything; the tapes must be paused.

    Fails with what still differs when that takes too long.
    """
    give_up_at = time.monotonic() + timeout_s
    while True:
        theirs = await floor.ledger()
        mine = await ours(rest)
        found = differences(mine, theirs)
        if not found:
            return mine, theirs
        if time.monotonic() > give_up_at:
            said = "\n".join([*found[:20], *await _lives(rest, found)])
            raise AssertionError(f"{len(found)} differences:\n{said}\n{floor.log('gateway')}")
        await PACE.sleep(0.2)


async def _lives(rest: Rest, found: list[str]) -> list[str]:
    """What happened to the first orders that are named in a difference."""
    told = []
    for name in list(dict.fromkeys(ORDER_ID.findall(" ".join(found))))[:3]:
        for event in (await rest.get(f"/v1/orders/{name}/events"))["events"]:
            what = {key: event["order"][key] for key in ("status", "version", "broker_order_id", "reason")}
            told.append(
                f"{name} {event['seq']} {event['at']} {event['kind']} {what} {event['correlation_id']}"
            )
    return told


def differences(mine: Ours, theirs: AccountLedger) -> list[str]:
    """Every point in which the two sides do not say the same, or a sum is not the sum of its parts."""
    return [
        *_orders(mine, theirs),
        *_executions(mine, theirs),
        *_positions(mine, theirs),
        *_sums(mine, theirs),
        *(f"an open break: {item}" for item in mine.breaks),
    ]


def _orders(mine: Ours, theirs: AccountLedger) -> Iterable[str]:
    chains: dict[str, list[VenueOrder]] = defaultdict(list)
    for order in theirs.orders:
        parsed = parse_cl_ord_id(Env.PAPER, order.ticket.client_order_id)
        if parsed is None:
            yield f"the venue has an order that is not ours: {order.ticket.client_order_id}"
        else:
            chains[parsed[0]].append(order)
    names = Counter(order.ticket.client_order_id for order in theirs.orders)
    yield from (f"the venue has {name} {times} times" for name, times in names.items() if times > 1)
    known = {order["id"]: order for order in mine.orders}
    if len(known) != len(mine.orders):
        yield "the listing of orders has one twice"
    yield from (f"the venue has {name}, which we do not" for name in chains.keys() - known.keys())
    for name, shown in known.items():
        yield from _order(shown, chains.get(name, []))


def _order(order: dict[str, Any], chain: list[VenueOrder]) -> Iterable[str]:
    """One order against the venue's orders that carry its id, oldest version first."""
    name = f"{order['id']} ({order['status']})"
    if order["status"] in UNSETTLED:
        yield f"{name} is not settled"
        return
    if order["status"] in NEVER_THERE:
        if chain:
            yield f"{name} is at the venue: {[one.status for one in chain]}"
        return
    if not chain:
        if order["reason"] is not None or order["cum_qty"] != "0" or order["broker_order_id"] is not None:
            yield f"{name} is not at the venue"
        return
    if sum(one.ticket.replaces is None for one in chain) != 1:
        yield f"{name} was bought more than once"
    last = chain[-1]
    filled = sum((one.filled_qty for one in chain), Decimal(0))
    notional = sum((one.filled_notional for one in chain), Decimal(0))
    before = filled - last.filled_qty
    expected = {
        "status": STATUS.get(last.status, last.status),
        "quantity": last.ticket.qty + before,
        "cum_qty": filled,
        "leaves_qty": last.leaves_qty,
        "limit_price": last.ticket.limit_price,
        "stop_price": last.ticket.stop_price,
        "side": last.ticket.side,
        "type": last.ticket.type,
        "time_in_force": last.ticket.time_in_force,
        "symbol": last.ticket.symbol,
    }
    for field, value in expected.items():
        said: object = order[field]
        if isinstance(value, Decimal) and isinstance(said, str):
            said = Decimal(said)
        if said != value:
            yield f"{name}.{field} is {order[field]}, at the venue {value}"
    if (order["avg_px"] is None) != (filled == 0):
        yield f"{name}.avg_px is {order['avg_px']} with {filled} filled"
    elif filled and abs(Fraction(order["avg_px"]) - Fraction(notional) / Fraction(filled)) > DISPLAYED:
        yield f"{name}.avg_px is {order['avg_px']}, at the venue {notional / filled}"


def _executions(mine: Ours, theirs: AccountLedger) -> Iterable[str]:
    told = Counter(one["exec_id"] for one in mine.executions)
    yield from (f"we show execution {name} {times} times" for name, times in told.items() if times > 1)
    ours_by_id = {one["exec_id"]: one for one in mine.executions}
    theirs_by_id = {one.id: one for one in theirs.executions}
    yield from (f"we miss execution {name}" for name in theirs_by_id.keys() - ours_by_id.keys())
    yield from (f"we made up execution {name}" for name in ours_by_id.keys() - theirs_by_id.keys())
    for name in ours_by_id.keys() & theirs_by_id.keys():
        one, other = ours_by_id[name], theirs_by_id[name]
        said = (one["symbol"], one["side"], Decimal(one["quantity"]), Decimal(one["price"]))
        if said != (other.symbol, other.side, other.qty, other.price):
            yield f"execution {name} is {said}, at the venue {other}"


def _positions(mine: Ours, theirs: AccountLedger) -> Iterable[str]:
    held = {one["symbol"]: one for one in mine.positions if one["quantity"] != "0"}
    there = {one.symbol: one for one in theirs.positions}
    for symbol in held.keys() | there.keys():
        one, other = held.get(symbol), there.get(symbol)
        if one is None or other is None or Decimal(one["quantity"]) != other.qty:
            yield f"position {symbol} is {one}, at the venue {other}"
        elif abs(Fraction(one["cost"]) - Fraction(other.cost_basis)) >= CENT:
            yield f"position {symbol} cost {one['cost']}, at the venue {other.cost_basis}"
    if abs(Fraction(mine.cash) - Fraction(theirs.account.cash)) >= CENT:
        yield f"cash is {mine.cash}, at the venue {theirs.account.cash}"


def _sums(mine: Ours, theirs: AccountLedger) -> Iterable[str]:
    """Cash, positions and the figures of orders again, from our executions and nothing else."""
    cash = Fraction(CASH)
    lots: dict[str, deque[tuple[Fraction, Fraction]]] = defaultdict(deque)
    filled: dict[str, Fraction] = defaultdict(Fraction)
    place = {one.id: one.seq for one in theirs.executions}
    for one in sorted(mine.executions, key=lambda it: place.get(it["exec_id"], 0)):
        symbol, price = one["symbol"], Fraction(one["price"])
        signed = Fraction(one["quantity"]) * (1 if one["side"] == "buy" else -1)
        filled[one["order_id"]] += abs(signed)
        multiplier = Fraction(LISTED[symbol]["multiplier"])
        realised = _book(lots[symbol], signed, price)
        is_future = LISTED[symbol]["asset_class"] == "future"
        cash += (realised if is_future else -signed * price) * multiplier
    if abs(cash - Fraction(mine.cash)) >= CENT:
        yield f"cash is {mine.cash}; from the executions it is {float(cash)}"
    shown = {one["symbol"]: Fraction(one["quantity"]) for one in mine.positions}
    for symbol in lots.keys() | shown.keys():
        held = sum((quantity for quantity, _ in lots[symbol]), Fraction(0))
        if held != shown.get(symbol, 0):
            yield f"position {symbol} is {shown.get(symbol)}; from the executions it is {held}"
    for order in mine.orders:
        if Fraction(order["cum_qty"]) != filled[order["id"]]:
            yield f"{order['id']}.cum_qty is {order['cum_qty']}, its executions sum to {filled[order['id']]}"


def _book(lots: deque[tuple[Fraction, Fraction]], signed: Fraction, price: Fraction) -> Fraction:
    """One execution, first in first out; returns what closing realised, without the multiplier."""
    realised = Fraction(0)
    while signed and lots and lots[0][0] * signed < 0:
        held, paid = lots.popleft()
        closed = min(abs(held), abs(signed)) * (1 if held > 0 else -1)
        realised += (price - paid) * closed
        signed += closed
        if held != closed:
            lots.appendleft((held - closed, paid))
    if signed:
        lots.append((signed, price))
    return realised


async def check_stream(watcher: Watcher, rest: Rest) -> None:
    """What the stream told, event by event from the first, is what REST shows now."""
    async with asyncio.timeout(SETTLE_S_MAX):
        while True:
            mine = await ours(rest)
            await watcher.reach(mine.seq)
            if watcher.seq == mine.seq:
                break
    assert watcher.orders == {order["id"]: order for order in mine.orders}
    assert watcher.executions == {one["exec_id"]: one for one in mine.executions}
    assert watcher.positions == {one["symbol"]: one for one in mine.positions}
    assert watcher.balances["USD"]["cash"] == mine.cash


async def check_journal(floor: Floor, rest: Rest) -> None:
    """Every seal holds, what is shown is what the events make, and no event is missing at the end."""
    shown = (await ours(rest)).seq
    assert await floor.prove_journal() >= shown
