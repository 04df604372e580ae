"""The exchange's money and market: what orders hold back, what accounts are worth, what everyone sees."""

from decimal import Decimal

from ordergate.venue.tape.records import Action, Packet, Step
from ordergate.venue.words import (
    OrderUpdated,
    Quote,
    QuoteChanged,
    TradePrinted,
    VenueEvent,
    VenueOrder,
)
from tests.venue.listings import ES, NOON
from tests.venue.pit import LATER, Pit, exact

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


def test_an_order_that_turns_a_position_keeps_back_what_it_opens_until_that_is_filled(pit: Pit) -> None:
    pit.submit("bob", "sell 60 ESH4 4800.00")
    pit.submit("ann", "buy 60 ESH4 4800.00")

    def kept_back() -> Decimal:
        """In contracts: what the account is worth does not change while the price stands."""
        view = pit.exchange.account("ann")
        assert view is not None
        return (view.equity - view.initial_margin - view.buying_power / 4) / ES.margin

    turning = pit.submit("ann", "sell 70 ESH4 4800.00")
    assert kept_back() == 10
    pit.submit("bob", "buy 30 ESH4 4800.00")
    assert (pit.now(turning).filled_qty, kept_back()) == exact(30, 10)
    pit.submit("bob", "buy 35 ESH4 4800.00")
    assert (pit.now(turning).filled_qty, kept_back()) == exact(65, 5)


def test_a_position_is_closed_without_margin_by_one_order_and_not_by_each(pit: Pit) -> None:
    pit.submit("bob", "sell 50 ESH4 4800.00")
    pit.submit("ann", "buy 50 ESH4 4800.00")
    closing = pit.submit("ann", "sell 50 ESH4 4801.00")
    assert pit.refused("ann", "sell 50 ESH4 4801.00") == "insufficient_buying_power"
    opening = pit.submit("ann", "sell 30 ESH4 4801.00")
    view = pit.exchange.account("ann")
    assert view is not None
    assert view.buying_power == 4 * (view.equity - 80 * ES.margin)
    assert isinstance(pit.replace(closing, limit_price=Decimal("4800.50")), VenueOrder)
    pit.exchange.cancel("ann", opening.id, LATER)
    view = pit.exchange.account("ann")
    assert view is not None
    assert view.buying_power == 4 * (view.equity - 50 * ES.margin)


def test_an_order_whose_position_is_gone_keeps_back_what_it_would_open(pit: Pit) -> None:
    pit.submit("bob", "sell 50 ESH4 4800.00")
    pit.submit("ann", "buy 50 ESH4 4800.00")
    left = pit.submit("ann", "sell 50 ESH4 4801.00")
    pit.submit("bob", "buy 30 ESH4 4800.00")
    pit.submit("ann", "sell 30 ESH4")
    view = pit.exchange.account("ann")
    assert view is not None
    assert view.buying_power == 4 * (view.equity - (20 + 30) * ES.margin)
    assert isinstance(pit.replace(left, limit_price=Decimal("4800.50")), VenueOrder)
    again = pit.exchange.account("ann")
    assert again is not None
    assert again.buying_power == view.buying_power


def test_an_account_is_worth_its_cash_and_positions_at_the_last_price(pit: Pit) -> None:
    pit.submit("bob", "sell 100 AAPL 190.00")
    pit.submit("ann", "buy 100 AAPL 190.00")
    pit.submit("bob", "sell 1 ESH4 4800.00")
    pit.submit("ann", "buy 1 ESH4 4800.00")
    pit.exchange.open_account("eve", Decimal(1_000_000), NOON)
    pit.submit("eve", "sell 1 AAPL 191.00")
    pit.submit("eve", "buy 1 AAPL 191.00")
    view = pit.exchange.account("ann")
    assert view is not None
    assert (view.cash, view.equity, view.long_market_value) == exact(981_000, 1_000_100, 19_100)
    assert view.initial_margin == 19_100 / Decimal(4) + 12_000
    apple, future = pit.exchange.positions("ann")
    assert (apple.qty, apple.avg_entry_price, apple.unrealized_pl) == exact(100, 190, 100)
    assert (future.qty, future.cost_basis, future.unrealized_pl) == exact(1, 240_000, 0)


def test_opening_an_account_again_changes_nothing(pit: Pit) -> None:
    assert pit.exchange.open_account("ann", Decimal(5), LATER).cash == 1_000_000
    assert pit.exchange.accounts() == ["ann", "bob"]


# -- the market


def test_a_tapes_orders_trade_with_participants_and_belong_to_nobody(pit: Pit) -> None:
    pit.exchange.play("ESH4", Packet(0, (Step(Action.ADD, 1, -1, 19_200, 5),)), NOON)
    assert pit.exchange.quote("ESH4") == Quote(
        symbol="ESH4", bid=None, bid_size=Decimal(0), ask=Decimal(4800), ask_size=Decimal(5), at=NOON
    )
    assert pit.submit("ann", "buy 2 ESH4").filled_notional == 9_600
    last = pit.exchange.last_trade("ESH4")
    assert last is not None
    assert (last.price, last.size) == exact(4_800, 2)
    assert last.taker_side == "buy"
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
    trades = [(it.trade.price, it.trade.size) for it in told if isinstance(it, TradePrinted)]
    assert quotes == [exact(190, 2), exact(189, 2)]
    assert trades == [exact(190, 2)]


def test_who_stopped_listening_hears_no_more(pit: Pit) -> None:
    late: list[VenueEvent] = []
    stop = pit.exchange.subscribe(late.append)
    pit.submit("ann", "buy 2 AAPL 190.00")
    heard = len(late)
    stop()
    pit.submit("ann", "buy 2 AAPL 190.00")
    assert len(late) == heard
