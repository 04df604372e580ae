"""The exchange as participants meet it: tickets in, orders, executions, money and news out."""

from datetime import timedelta
from decimal import Decimal as D
from itertools import count

import pytest

from ordergate.venue.exchange import Exchange
from ordergate.venue.tape.records import Action, Packet, Step
from ordergate.venue.words import (
    Changes,
    OrderUpdated,
    Quote,
    QuoteChanged,
    Refusal,
    RefusalCode,
    Ticket,
    TradePrinted,
    VenueEvent,
    VenueOrder,
)
from tests.venue.listings import AAPL, BTC, ES, NOON

LATER = NOON + timedelta(seconds=1)


class Pit:
    """An exchange with two well-funded accounts, and everything it told."""

    def __init__(self) -> None:
        self.exchange = Exchange([ES, AAPL, BTC])
        self.heard: list[VenueEvent] = []
        self.exchange.subscribe(self.heard.append)
        self._numbers = count(1)
        for account in ("ann", "bob"):
            self.exchange.open_account(account, D(1_000_000), NOON)

    def ticket(self, text: str, **fields: object) -> Ticket:
        """`buy 5 AAPL 190.00` is a limit order, without a price a market order."""
        side, qty, symbol, *price = text.split()
        limit = D(price[0]) if price else None
        given: dict[str, object] = {
            "client_order_id": f"c{next(self._numbers)}",
            "symbol": symbol,
            "side": side,
            "type": "limit" if price else "market",
            "qty": D(qty),
            "limit_price": limit,
        }
        return Ticket(**(given | fields))  # type: ignore[arg-type]  # the tests spell the fields they mean

    def submit(self, account: str, text: str, **fields: object) -> VenueOrder:
        order = self.exchange.submit(account, self.ticket(text, **fields), NOON)
        assert isinstance(order, VenueOrder), order
        return order

    def refused(self, account: str, text: str, **fields: object) -> RefusalCode:
        refusal = self.exchange.submit(account, self.ticket(text, **fields), NOON)
        assert isinstance(refusal, Refusal)
        return refusal.code

    def replace(self, order: VenueOrder, **fields: object) -> VenueOrder | Refusal:
        return self.exchange.replace(order.account, order.id, Changes(**fields), LATER)  # type: ignore[arg-type]  # as above

    def now(self, order: VenueOrder) -> VenueOrder:
        found = self.exchange.order(order.account, order.id)
        assert found is not None
        return found

    def words(self, account: str) -> list[str]:
        return [
            item.event
            for item in self.heard
            if isinstance(item, OrderUpdated) and item.order.account == account
        ]


@pytest.fixture
def pit() -> Pit:
    return Pit()


# -- orders


def test_an_order_rests_is_filled_in_parts_and_is_done(pit: Pit) -> None:
    order = pit.submit("ann", "buy 10 AAPL 190.00")
    assert order.status == "new"
    pit.submit("bob", "sell 4 AAPL 190.00")
    assert pit.now(order).status == "partially_filled"
    pit.submit("bob", "sell 6 AAPL 189.00")
    done = pit.now(order)
    assert (done.status, done.filled_qty, done.filled_avg_price, done.leaves_qty) == ("filled", 10, D(190), 0)
    assert pit.words("ann") == ["new", "partial_fill", "fill"]


def test_an_order_that_trades_at_once_comes_back_filled(pit: Pit) -> None:
    pit.submit("bob", "sell 4 AAPL 190.00")
    assert pit.submit("ann", "buy 4 AAPL 191.00").status == "filled"


def test_executions_add_up_and_say_the_position_they_leave(pit: Pit) -> None:
    pit.submit("bob", "sell 4 AAPL 190.00")
    pit.submit("bob", "sell 4 AAPL 190.01")
    pit.submit("ann", "buy 6 AAPL 190.01")
    mine = pit.exchange.executions("ann")
    assert [(it.qty, it.price, it.cum_qty, it.leaves_qty, it.position_qty) for it in mine] == [
        (4, D("190.00"), 4, 2, 4),
        (2, D("190.01"), 6, 0, 6),
    ]
    assert [it.position_qty for it in pit.exchange.executions("bob")] == [-4, -6]
    assert len({it.id for it in mine}) == 2


def test_a_used_client_order_id_is_refused_for_ever(pit: Pit) -> None:
    order = pit.submit("ann", "buy 1 AAPL 190.00", client_order_id="mine")
    pit.exchange.cancel("ann", order.id, NOON)
    assert pit.refused("ann", "buy 1 AAPL 190.00", client_order_id="mine") == "duplicate_client_order_id"
    assert pit.submit("bob", "buy 1 AAPL 190.00", client_order_id="mine").status == "new"
    assert pit.exchange.order_by_client_id("ann", "mine") == pit.now(order)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("buy 1 MSFT 1.00", {}),
        ("buy 0 AAPL 190.00", {}),
        ("buy -1 AAPL 190.00", {}),
        ("buy 1.5 AAPL 190.00", {}),
        ("buy 1 AAPL 190.001", {}),
        ("buy 1 AAPL 0", {}),
        ("buy NaN AAPL 190.00", {}),
        ("buy 1 AAPL Infinity", {}),
        ("buy 1e30 AAPL 190.00", {}),
        ("buy 1 AAPL", {"type": "limit"}),
        ("buy 1 AAPL 190.00", {"type": "market"}),
        ("buy 1 AAPL", {"type": "stop"}),
        ("buy 1 AAPL 190.00", {"type": "stop_limit"}),
        ("buy 1 AAPL 190.00", {"stop_price": D(190)}),
        ("buy 1 AAPL", {"type": "stop", "stop_price": D(190), "time_in_force": "ioc"}),
        ("buy 1 AAPL 190.00", {"client_order_id": ""}),
        ("buy 1 AAPL 190.00", {"client_order_id": "x" * 129}),
    ],
)
def test_a_ticket_that_makes_no_sense_is_refused_and_leaves_no_trace(
    pit: Pit, text: str, fields: dict[str, object]
) -> None:
    assert pit.refused("ann", text, **fields) == "invalid"
    assert pit.exchange.orders("ann") == []
    assert pit.heard == []


def test_an_account_nobody_opened_cannot_trade(pit: Pit) -> None:
    assert pit.refused("eve", "buy 1 AAPL 190.00") == "not_found"


def test_a_market_order_nobody_answers_is_canceled(pit: Pit) -> None:
    assert pit.submit("ann", "buy 1 AAPL").status == "canceled"
    assert pit.words("ann") == ["new", "canceled"]


def test_an_immediate_order_trades_what_it_can_and_a_fill_or_kill_order_all_or_nothing(pit: Pit) -> None:
    pit.submit("bob", "sell 4 AAPL 190.00")
    killed = pit.submit("ann", "buy 5 AAPL 190.00", time_in_force="fok")
    assert (killed.status, killed.filled_qty) == ("canceled", 0)
    partly = pit.submit("ann", "buy 5 AAPL 190.00", time_in_force="ioc")
    assert (partly.status, partly.filled_qty) == ("canceled", 4)


def test_a_stop_becomes_a_market_order_when_a_trade_reaches_it(pit: Pit) -> None:
    stop = pit.submit("ann", "sell 2 AAPL", type="stop", stop_price=D(189))
    pit.submit("bob", "buy 5 AAPL 189.00")
    assert pit.now(stop).triggered_at is None
    pit.submit("bob", "sell 1 AAPL 189.00")
    done = pit.now(stop)
    assert (done.status, done.filled_qty, done.triggered_at) == ("filled", 2, NOON)


# -- cancel and replace


def test_a_canceled_order_is_out_of_the_book(pit: Pit) -> None:
    order = pit.submit("ann", "buy 10 AAPL 190.00")
    canceled = pit.exchange.cancel("ann", order.id, LATER)
    assert isinstance(canceled, VenueOrder)
    assert (canceled.status, canceled.canceled_at) == ("canceled", LATER)
    assert pit.submit("bob", "sell 1 AAPL 190.00").status == "new"


def test_an_order_is_canceled_once_and_only_by_its_owner(pit: Pit) -> None:
    order = pit.submit("ann", "buy 10 AAPL 190.00")
    assert pit.exchange.cancel("bob", order.id, NOON) == Refusal(
        "not_found", f"order not found for {order.id}"
    )
    pit.exchange.cancel("ann", order.id, NOON)
    again = pit.exchange.cancel("ann", order.id, NOON)
    assert again == Refusal("not_cancelable", 'order is already in "canceled" state')


def test_cancel_all_cancels_the_stops_too_and_nobody_elses(pit: Pit) -> None:
    pit.submit("ann", "buy 10 AAPL 190.00")
    pit.submit("ann", "sell 2 AAPL", type="stop", stop_price=D(180))
    other = pit.submit("bob", "buy 1 AAPL 180.00")
    assert [order.status for order in pit.exchange.cancel_all("ann", NOON)] == ["canceled", "canceled"]
    assert pit.exchange.open_orders("ann") == []
    assert pit.now(other).status == "new"


def test_a_replaced_order_gives_way_to_one_with_a_new_id(pit: Pit) -> None:
    old = pit.submit("ann", "buy 10 AAPL 190.00")
    new = pit.replace(old, limit_price=D(191), client_order_id="next")
    assert isinstance(new, VenueOrder)
    assert (new.replaces, new.status, new.ticket.limit_price) == (old.id, "new", D(191))
    gone = pit.now(old)
    assert (gone.status, gone.replaced_by, gone.replaced_at) == ("replaced", new.id, LATER)
    assert pit.words("ann") == ["new", "replaced", "new"]


def test_what_was_filled_before_a_replace_counts_against_the_new_quantity(pit: Pit) -> None:
    old = pit.submit("ann", "buy 10 AAPL 190.00")
    pit.submit("bob", "sell 4 AAPL 190.00")
    new = pit.replace(old, qty=D(12))
    assert isinstance(new, VenueOrder)
    assert (new.ticket.qty, new.filled_qty, pit.now(old).filled_qty) == (8, 0, 4)
    assert pit.replace(new, qty=D(0)) == Refusal(
        "invalid", "qty must be greater than the filled quantity of 0"
    )


def test_a_smaller_quantity_keeps_the_place_and_a_larger_one_loses_it(pit: Pit) -> None:
    mine = pit.submit("ann", "buy 10 AAPL 190.00")
    his = pit.submit("bob", "buy 10 AAPL 190.00")
    kept = pit.replace(mine, qty=D(5))
    pit.exchange.open_account("eve", D(1_000_000), NOON)
    pit.submit("eve", "sell 1 AAPL 190.00")
    assert isinstance(kept, VenueOrder)
    assert pit.now(kept).filled_qty == 1
    lost = pit.replace(pit.now(kept), qty=D(20))
    pit.submit("eve", "sell 1 AAPL 190.00")
    assert isinstance(lost, VenueOrder)
    assert (pit.now(lost).filled_qty, pit.now(his).filled_qty) == (0, 1)


def test_a_refused_replace_changes_nothing(pit: Pit) -> None:
    order = pit.submit("ann", "buy 10 AAPL 190.00")
    other = pit.submit("ann", "buy 1 AAPL 180.00", client_order_id="taken")
    for fields, code in (
        ({"limit_price": D("190.001")}, "invalid"),
        ({"stop_price": D(190)}, "invalid"),
        ({"client_order_id": "taken"}, "duplicate_client_order_id"),
        ({"qty": D(10_000_000)}, "insufficient_buying_power"),
    ):
        refusal = pit.replace(order, **fields)
        assert isinstance(refusal, Refusal)
        assert refusal.code == code
    assert pit.now(order) == order
    pit.exchange.cancel("ann", other.id, NOON)
    final = pit.replace(other, qty=D(2))
    assert isinstance(final, Refusal)
    assert final.code == "not_replaceable"


def test_a_replace_may_trade_at_once(pit: Pit) -> None:
    order = pit.submit("ann", "buy 3 AAPL 189.00")
    pit.submit("bob", "sell 5 AAPL 190.00")
    new = pit.replace(order, limit_price=D(190))
    assert isinstance(new, VenueOrder)
    assert new.status == "filled"


def test_the_session_ends_for_day_orders_only(pit: Pit) -> None:
    day = pit.submit("ann", "buy 1 AAPL 190.00")
    good = pit.submit("ann", "buy 1 AAPL 190.00", time_in_force="gtc")
    elsewhere = pit.submit("ann", "buy 1 ESH4 4800.00")
    assert pit.exchange.end_session("AAPL", LATER) == 1
    assert (pit.now(day).status, pit.now(day).expired_at) == ("expired", LATER)
    assert pit.now(good).status == "new"
    assert pit.exchange.end_session(None, LATER) == 1
    assert pit.now(elsewhere).status == "expired"


# -- money


def test_stock_is_bought_on_four_times_the_money(pit: Pit) -> None:
    assert pit.refused("ann", "buy 40001 AAPL 100.00") == "insufficient_buying_power"
    pit.submit("ann", "buy 40000 AAPL 100.00")
    assert pit.refused("ann", "buy 1 AAPL 100.00") == "insufficient_buying_power"


def test_what_an_order_held_back_is_free_again_once_it_is_over(pit: Pit) -> None:
    order = pit.submit("ann", "buy 40000 AAPL 100.00")
    before = pit.exchange.account("ann")
    assert before is not None
    assert before.buying_power == 0
    pit.exchange.cancel("ann", order.id, NOON)
    after = pit.exchange.account("ann")
    assert after is not None
    assert after.buying_power == 4_000_000


def test_a_future_needs_its_margin_and_closing_it_needs_none(pit: Pit) -> None:
    pit.submit("bob", "sell 83 ESH4 4800.00")
    assert pit.refused("ann", "buy 84 ESH4 4800.00") == "insufficient_buying_power"
    pit.submit("ann", "buy 83 ESH4 4800.00")
    assert pit.refused("ann", "buy 1 ESH4 4800.00") == "insufficient_buying_power"
    assert pit.submit("ann", "sell 83 ESH4 4801.00").status == "new"


def test_an_account_is_worth_its_cash_and_positions_at_the_last_price(pit: Pit) -> None:
    pit.submit("bob", "sell 100 AAPL 190.00")
    pit.submit("ann", "buy 100 AAPL 190.00")
    pit.submit("bob", "sell 1 ESH4 4800.00")
    pit.submit("ann", "buy 1 ESH4 4800.00")
    pit.exchange.open_account("eve", D(1_000_000), NOON)
    pit.submit("eve", "sell 1 AAPL 191.00")
    pit.submit("eve", "buy 1 AAPL 191.00")
    view = pit.exchange.account("ann")
    assert view is not None
    assert (view.cash, view.equity, view.long_market_value) == (981_000, 1_000_100, 19_100)
    assert view.initial_margin == 19_100 / D(4) + 12_000
    apple, future = pit.exchange.positions("ann")
    assert (apple.qty, apple.avg_entry_price, apple.unrealized_pl) == (100, 190, 100)
    assert (future.qty, future.cost_basis, future.unrealized_pl) == (1, 240_000, 0)


def test_opening_an_account_again_changes_nothing(pit: Pit) -> None:
    assert pit.exchange.open_account("ann", D(5), LATER).cash == 1_000_000
    assert pit.exchange.accounts() == ["ann", "bob"]


# -- the market


def test_a_tapes_orders_trade_with_participants_and_belong_to_nobody(pit: Pit) -> None:
    pit.exchange.play("ESH4", Packet(0, (Step(Action.ADD, 1, -1, 19_200, 5),)), NOON)
    assert pit.exchange.quote("ESH4") == Quote(
        symbol="ESH4", bid=None, bid_size=D(0), ask=D(4800), ask_size=D(5), at=NOON
    )
    assert pit.submit("ann", "buy 2 ESH4").filled_notional == 9_600
    last = pit.exchange.last_trade("ESH4")
    assert last is not None
    assert (last.price, last.size, last.taker_side) == (4_800, 2, "buy")
    pit.exchange.clear_tape("ESH4", NOON)
    quote = pit.exchange.quote("ESH4")
    assert quote is not None
    assert quote.ask is None


def test_before_the_open_only_orders_that_may_wait_are_taken(pit: Pit) -> None:
    pit.exchange.play("ESH4", Packet(0, (), "pre_open"), NOON)
    assert not pit.exchange.is_open("ESH4")
    assert pit.refused("ann", "buy 1 ESH4") == "invalid"
    assert pit.refused("ann", "buy 1 ESH4 4800.00", time_in_force="ioc") == "invalid"
    waiting = pit.submit("ann", "buy 1 ESH4 4800.00")
    auction = Step(Action.AUCTION, 0, 0, 4799 * 4, 10)
    pit.exchange.play("ESH4", Packet(1, (auction,), "open"), LATER)
    assert pit.now(waiting).filled_avg_price == 4_799


def test_quotes_and_trades_are_told_when_they_change(pit: Pit) -> None:
    pit.submit("ann", "buy 2 AAPL 190.00")
    pit.submit("ann", "buy 2 AAPL 189.00")
    pit.submit("bob", "sell 2 AAPL 190.00")
    told = [item for item in pit.heard if not isinstance(item, OrderUpdated)]
    quotes = [(it.quote.bid, it.quote.bid_size) for it in told if isinstance(it, QuoteChanged)]
    trades = [(it.trade.id, it.trade.price, it.trade.size) for it in told if isinstance(it, TradePrinted)]
    assert quotes == [(D(190), 2), (D(189), 2)]
    assert trades == [(1, D(190), 2)]


def test_who_stopped_listening_hears_no_more(pit: Pit) -> None:
    late: list[VenueEvent] = []
    stop = pit.exchange.subscribe(late.append)
    pit.submit("ann", "buy 2 AAPL 190.00")
    heard = len(late)
    stop()
    pit.submit("ann", "buy 2 AAPL 190.00")
    assert len(late) == heard
