"""A seeded trader spends the recorded day at the exchange, and every book is checked at the end."""

from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Final

import pytest

from ordergate.venue.exchange import Exchange
from ordergate.venue.state import FileLog
from ordergate.venue.tape.player import Player
from ordergate.venue.words import (
    Changes,
    Execution,
    OrderType,
    OrderUpdated,
    Refusal,
    Ticket,
    TimeInForce,
    VenueEvent,
)
from tests.dose import dose
from tests.venue.listings import ES, NOON, recorded_day

ACCOUNTS = ("ann", "bob")
CASH = Decimal(2_000_000)
KINDS: Final[tuple[tuple[OrderType, TimeInForce], ...]] = (
    ("limit", "day"),
    ("limit", "gtc"),
    ("limit", "ioc"),
    ("limit", "fok"),
    ("market", "day"),
    ("stop", "gtc"),
    ("stop_limit", "day"),
)


class Trader:
    """Places, changes and cancels orders of every kind around the market."""

    def __init__(self, exchange: Exchange, seed: int) -> None:
        self.refused = 0
        self._exchange = exchange
        self._chance = Random(seed)
        self._placed = 0

    def act(self) -> None:
        account = self._chance.choice(ACCOUNTS)
        mine = self._exchange.open_orders(account)
        drawn = self._chance.random()
        if mine and drawn < 0.15:
            self._exchange.cancel(account, self._chance.choice(mine).id, NOON)
        elif mine and drawn < 0.3:
            changes = Changes(qty=Decimal(self._chance.randint(1, 12)))
            self._exchange.replace(account, self._chance.choice(mine).id, changes, NOON)
        else:
            answer = self._exchange.submit(account, self._ticket(), NOON)
            self.refused += isinstance(answer, Refusal)

    def _ticket(self) -> Ticket:
        self._placed += 1
        last = self._exchange.last_trade("ESH4")
        assert last is not None
        price = last.price + ES.tick * self._chance.randint(-4, 4)
        kind, time_in_force = self._chance.choice(KINDS)
        return Ticket(
            client_order_id=f"c{self._placed}",
            symbol="ESH4",
            side=self._chance.choice(("buy", "sell")),
            type=kind,
            qty=Decimal(self._chance.randint(1, 10)),
            limit_price=price if kind in ("limit", "stop_limit") else None,
            stop_price=price if kind in ("stop", "stop_limit") else None,
            time_in_force=time_in_force,
        )


def marked_to_market(executions: list[Execution], price: Decimal) -> Decimal:
    """What all trades made if the rest were closed at this price: no lots, only sums."""
    signed = [(it.qty if it.side == "buy" else -it.qty, it.price) for it in executions]
    return sum((qty * (price - paid) for qty, paid in signed), Decimal(0)) * ES.multiplier


@pytest.mark.parametrize("seed", range(dose(usual=2, long=30)))
def test_after_a_day_every_book_agrees(shared_dir: Path, tmp_path: Path, seed: int) -> None:
    log = FileLog(tmp_path / "decisions.jsonl")
    exchange = Exchange([ES], log=log)
    told: list[VenueEvent] = []
    exchange.subscribe(told.append)
    for account in ACCOUNTS:
        exchange.open_account(account, CASH, NOON)
    player = Player(exchange, recorded_day(shared_dir), loop=False, paused=True)
    trader = Trader(exchange, seed)
    while player.step(100):
        trader.act()
    last = exchange.last_trade("ESH4")
    assert last is not None
    for account in ACCOUNTS:
        executions, view = exchange.executions(account), exchange.account(account)
        assert view is not None
        assert len(executions) > 50
        assert view.equity == CASH + marked_to_market(executions, last.price)
        check_orders(exchange, account, told)
    log.close()
    again = Exchange([ES])
    again.restore(FileLog(tmp_path / "decisions.jsonl").read(), NOON)
    for account in ACCOUNTS:
        assert again.orders(account) == exchange.orders(account)
        assert again.executions(account) == exchange.executions(account)


def check_orders(exchange: Exchange, account: str, told: list[VenueEvent]) -> None:
    """Each order is the sum of its executions, and the last thing that was told of it."""
    filled: defaultdict[str, Decimal] = defaultdict(Decimal)
    notional: defaultdict[str, Decimal] = defaultdict(Decimal)
    for execution in exchange.executions(account):
        filled[execution.order_id] += execution.qty
        notional[execution.order_id] += execution.qty * execution.price
        assert execution.cum_qty == filled[execution.order_id]
    last_told = {item.order.id: item.order for item in told if isinstance(item, OrderUpdated)}
    for order in exchange.orders(account):
        assert (order.filled_qty, order.filled_notional) == (filled[order.id], notional[order.id])
        assert last_told[order.id].status == order.status
        if order.ticket.time_in_force in ("ioc", "fok"):
            assert order.status in ("filled", "canceled")
        if order.ticket.time_in_force == "fok":
            assert order.filled_qty in (0, order.ticket.qty)
        if order.ticket.limit_price is not None and order.filled_qty:
            assert_no_worse_than_its_limit(exchange, account, order.id, order.ticket)


def assert_no_worse_than_its_limit(exchange: Exchange, account: str, order_id: str, ticket: Ticket) -> None:
    limit = ticket.limit_price
    assert limit is not None
    for execution in exchange.executions(account):
        if execution.order_id == order_id:
            assert execution.price <= limit if ticket.side == "buy" else execution.price >= limit
