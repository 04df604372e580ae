"""What the venue decided survives its process."""

import os
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.json import encode

from ordergate.venue.exchange import Exchange
from ordergate.venue.state import (
    AccountOpened,
    Decision,
    FileLog,
    OrderEnded,
    OrderExecuted,
    OrderTaken,
    StateCorrupt,
)
from ordergate.venue.tape.records import Action, Packet, Step
from ordergate.venue.words import (
    Changes,
    OrderUpdated,
    QuoteChanged,
    Refusal,
    Ticket,
    VenueEvent,
    VenueOrder,
)
from tests.venue.listings import AAPL, ES, NOON

ACCOUNTS = ("ann", "bob")


class Keeping:
    """A log in memory."""

    def __init__(self) -> None:
        self.decisions: list[Decision] = []

    def append(self, decisions: Sequence[Decision]) -> None:
        self.decisions += decisions


def trade_at_random(exchange: Exchange, seed: int, turns: int) -> None:
    """Orders of all kinds, cancels and replaces, from a seed."""
    chance = Random(seed)
    for account in ACCOUNTS:
        exchange.open_account(account, Decimal(10_000_000), NOON)
    for turn in range(turns):
        account = chance.choice(ACCOUNTS)
        open_orders = exchange.open_orders(account)
        drawn = chance.random()
        if open_orders and drawn < 0.1:
            exchange.cancel(account, chance.choice(open_orders).id, NOON)
        elif open_orders and drawn < 0.25:
            changes = Changes(qty=Decimal(chance.randint(1, 20)))
            exchange.replace(account, chance.choice(open_orders).id, changes, NOON)
        else:
            exchange.submit(account, some_ticket(chance, turn), NOON)


def some_ticket(chance: Random, number: int) -> Ticket:
    kind = chance.choice(("limit", "limit", "limit", "market", "stop", "stop_limit"))
    listing = chance.choice((AAPL, ES))
    price = listing.tick * chance.randint(2_000, 2_010)
    return Ticket(
        client_order_id=f"c{number}",
        symbol=listing.symbol,
        side=chance.choice(("buy", "sell")),
        type=kind,  # type: ignore[arg-type]  # one of the four
        qty=Decimal(chance.randint(1, 20)),
        limit_price=price if kind in ("limit", "stop_limit") else None,
        stop_price=price if kind in ("stop", "stop_limit") else None,
        time_in_force=chance.choice(("day", "gtc")),
    )


def the_same(one: Exchange, other: Exchange) -> bool:
    return all(
        one.orders(account) == other.orders(account)
        and one.executions(account) == other.executions(account)
        and one.open_orders(account) == other.open_orders(account)
        and cash(one, account) == cash(other, account)
        and quantities(one, account) == quantities(other, account)
        for account in ACCOUNTS
    )


def cash(exchange: Exchange, account: str) -> Decimal:
    view = exchange.account(account)
    assert view is not None
    return view.cash


def quantities(exchange: Exchange, account: str) -> list[tuple[str, Decimal, Decimal, Decimal]]:
    return [(it.symbol, it.qty, it.cost_basis, it.realized_pl) for it in exchange.positions(account)]


def test_a_restarted_exchange_has_every_account_order_execution_and_position(tmp_path: Path) -> None:
    log = FileLog(tmp_path / "venue" / "decisions.jsonl")
    before = Exchange([AAPL, ES], log=log)
    trade_at_random(before, seed=7, turns=400)
    log.close()
    again = FileLog(tmp_path / "venue" / "decisions.jsonl")
    after = Exchange([AAPL, ES], log=again)
    after.restore(again.read(), NOON)
    assert len(before.executions("ann")) > 50
    assert the_same(before, after)


@given(st.integers(0, 1_000_000), st.integers(1, 80))
def test_an_exchange_stopped_anywhere_is_restored_as_it_was(seed: int, turns: int) -> None:
    log = Keeping()
    before = Exchange([AAPL, ES], log=log)
    trade_at_random(before, seed, turns)
    told: list[VenueEvent] = []
    after = Exchange([AAPL, ES])
    after.subscribe(told.append)
    after.restore(list(log.decisions), NOON)
    assert the_same(before, after)


def test_a_restored_order_still_trades_and_a_restored_id_is_still_taken(tmp_path: Path) -> None:
    log = FileLog(tmp_path / "decisions.jsonl")
    before = Exchange([AAPL], log=log)
    for account in ACCOUNTS:
        before.open_account(account, Decimal(1_000_000), NOON)
    buy = Ticket(
        client_order_id="b", symbol="AAPL", side="buy", type="limit", qty=Decimal(5), limit_price=Decimal(190)
    )
    order = before.submit("ann", buy, NOON)
    assert isinstance(order, VenueOrder)
    after = Exchange([AAPL])
    after.restore(log.read(), NOON)
    assert after.submit("ann", buy, NOON) == Refusal(
        "duplicate_client_order_id", "client_order_id must be unique"
    )
    sell = Ticket(client_order_id="s", symbol="AAPL", side="sell", type="market", qty=Decimal(2))
    after.submit("bob", sell, NOON)
    found = after.order("ann", order.id)
    assert found is not None
    assert (found.status, found.filled_qty) == ("partially_filled", Decimal(2))


def test_what_crosses_before_the_open_still_waits_for_it_after_a_restart() -> None:
    log = Keeping()
    before = Exchange([ES], log=log)
    for account in ACCOUNTS:
        before.open_account(account, Decimal(1_000_000), NOON)
    before.play("ESH4", Packet(0, (), "pre_open"), NOON)
    for account, side, price in (("ann", "buy", 4_800), ("bob", "sell", 4_790)):
        ticket = Ticket(
            client_order_id=side,
            symbol="ESH4",
            side=side,  # type: ignore[arg-type]  # one of the two
            type="limit",
            qty=Decimal(1),
            limit_price=Decimal(price),
        )
        assert isinstance(before.submit(account, ticket, NOON), VenueOrder)
    after = Exchange([ES])
    after.restore(list(log.decisions), NOON)
    assert the_same(before, after)
    assert not after.is_open("ESH4")
    after.play("ESH4", Packet(0, (), "pre_open"), NOON)
    after.play("ESH4", Packet(1, (), "open"), NOON)
    assert [len(after.executions(account)) for account in ACCOUNTS] == [1, 1]


def test_a_torn_last_line_is_cut_off_and_the_log_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    log = FileLog(path)
    exchange = Exchange([AAPL, ES], log=log)
    trade_at_random(exchange, seed=3, turns=50)
    log.close()
    whole = path.read_bytes()
    with path.open("ab") as file:
        file.write(whole.splitlines()[-1][:20])
    reopened = FileLog(path)
    decisions = reopened.read()
    assert path.read_bytes() == whole
    after = Exchange([AAPL, ES], log=reopened)
    after.restore(decisions, NOON)
    after.open_account("eve", Decimal(1), NOON)
    assert len(FileLog(path).read()) == len(decisions) + 1


def test_a_log_that_ends_anywhere_has_every_replacement_and_both_sides_of_every_trade(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    before = Exchange([AAPL], log=FileLog(path))
    for account in ACCOUNTS:
        before.open_account(account, Decimal(1_000_000), NOON)
    order = before.submit("ann", BUY, NOON)
    assert isinstance(order, VenueOrder)
    before.replace("ann", order.id, Changes(limit_price=Decimal(191)), NOON)
    sell = Ticket(client_order_id="s", symbol="AAPL", side="sell", type="market", qty=Decimal(2))
    before.submit("bob", sell, NOON)
    whole = path.read_bytes()
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        after = Exchange([AAPL])
        after.restore(FileLog(path).read(), NOON)
        replaced = [one.replaced_by for one in after.orders("ann") if one.replaced_by is not None]
        assert [after.order("ann", one) is not None for one in replaced] == [True] * len(replaced)
        assert sum(it.qty for account in ACCOUNTS for it in after.positions(account)) == 0


def test_a_log_of_a_line_for_each_decision_is_read_as_well(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    kept = Keeping()
    trade_at_random(Exchange([AAPL, ES], log=kept), seed=3, turns=50)
    path.write_bytes(b"".join(encode(one) + b"\n" for one in kept.decisions))
    assert FileLog(path).read() == kept.decisions


def test_a_broken_line_that_is_not_the_last_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    path.write_text("{}\n")
    with pytest.raises(StateCorrupt, match="line 1"):
        FileLog(path).read()


def test_an_order_for_something_no_longer_listed_is_a_fault(tmp_path: Path) -> None:
    log = FileLog(tmp_path / "decisions.jsonl")
    trade_at_random(Exchange([AAPL, ES], log=log), seed=3, turns=50)
    with pytest.raises(StateCorrupt, match="not listed"):
        Exchange([AAPL]).restore(log.read(), NOON)


@pytest.fixture
def breaks_off(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """The disk takes twenty bytes of each of so many writes, and then as much as it is given."""
    left, write = 0, os.write

    def short(file: int, data: bytes) -> int:
        nonlocal left
        if not left:
            return write(file, data)
        left -= 1
        write(file, data[:20])
        raise OSError("no space left")

    def of_the_next(writes: int) -> None:
        nonlocal left
        left = writes

    monkeypatch.setattr("ordergate.venue.state.os.write", short)
    return of_the_next


BUY = Ticket(
    client_order_id="b", symbol="AAPL", side="buy", type="limit", qty=Decimal(5), limit_price=Decimal(190)
)


@pytest.fixture
def broken(tmp_path: Path, breaks_off: Callable[[int], None]) -> Exchange:
    """An exchange that took an order, and whose log will not take that, nor what it is given next."""
    exchange = Exchange([AAPL], log=FileLog(tmp_path / "decisions.jsonl"))
    exchange.open_account("ann", Decimal(1_000_000), NOON)
    breaks_off(2)
    with pytest.raises(OSError, match="no space left"):
        exchange.submit("ann", BUY, NOON)
    return exchange


def test_a_write_that_broke_off_leaves_nothing_in_the_log(tmp_path: Path, broken: Exchange) -> None:
    log = FileLog(tmp_path / "decisions.jsonl")
    assert [type(decision) for decision in log.read()] == [AccountOpened]
    assert (tmp_path / "decisions.jsonl").read_bytes().endswith(b"\n")


def test_what_the_log_could_not_take_is_written_first_of_all(tmp_path: Path, broken: Exchange) -> None:
    with pytest.raises(OSError, match="no space left"):
        broken.cancel_all("ann", NOON)
    broken.cancel_all("ann", NOON)
    decisions = FileLog(tmp_path / "decisions.jsonl").read()
    assert [type(decision) for decision in decisions] == [AccountOpened, OrderTaken, OrderEnded]


def test_nothing_is_shown_that_the_log_could_not_take(broken: Exchange) -> None:
    told: list[VenueEvent] = []
    broken.subscribe(told.append)
    with pytest.raises(OSError, match="no space left"):
        broken.order_by_client_id("ann", "b")
    assert told == []
    assert broken.order_by_client_id("ann", "b") is not None
    assert [type(event) for event in told] == [OrderUpdated, QuoteChanged]


def test_a_tape_waits_for_the_log_and_plays_nothing_twice(
    tmp_path: Path, breaks_off: Callable[[int], None]
) -> None:
    exchange = Exchange([AAPL], log=FileLog(tmp_path / "decisions.jsonl"))
    exchange.open_account("ann", Decimal(1_000_000), NOON)
    exchange.submit("ann", BUY, NOON)
    sold = [Packet(0, (Step(Action.ADD, ident, -1, 18_900, 1),)) for ident in (1, 2)]
    breaks_off(2)
    exchange.play("AAPL", sold[0], NOON)
    with pytest.raises(OSError, match="no space left"):
        exchange.play("AAPL", sold[1], NOON)
    exchange.play("AAPL", sold[1], NOON)
    assert [it.cum_qty for it in exchange.executions("ann")] == [1, 2]
    decisions = FileLog(tmp_path / "decisions.jsonl").read()
    assert [type(it) for it in decisions] == [AccountOpened, OrderTaken, OrderExecuted, OrderExecuted]


def test_what_the_log_could_not_keep_is_told_to_nobody() -> None:
    class Full:
        def append(self, decisions: object) -> None:
            raise OSError("no space left")

    exchange = Exchange([AAPL], log=Full())
    told: list[VenueEvent] = []
    exchange.subscribe(told.append)
    with pytest.raises(OSError, match="no space left"):
        exchange.open_account("ann", Decimal(1), NOON)
    assert told == []
