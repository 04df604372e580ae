"""Cash and first-in-first-out lots, to the last digit."""

from decimal import Decimal as D

from hypothesis import given
from hypothesis import strategies as st

from ordergate.venue.ledger import Ledger
from ordergate.venue.words import Listing, SideName
from tests.venue.listings import AAPL, BTC, ES

Trade = tuple[SideName, int, int]  # side, lots, ticks


def test_buying_stock_pays_its_notional_and_selling_it_returns_it() -> None:
    ledger = Ledger(D(10_000))
    ledger.book(AAPL, "buy", D(10), D("190.01"))
    assert ledger.cash == D("8099.90")
    ledger.book(AAPL, "sell", D(10), D("191.01"))
    assert ledger.cash == D("10010.00")
    assert ledger.qty("AAPL") == 0


def test_opening_a_future_moves_no_cash_and_closing_it_pays_the_profit() -> None:
    ledger = Ledger(D(50_000))
    ledger.book(ES, "buy", D(2), D("4800.25"))
    assert ledger.cash == D(50_000)
    ledger.book(ES, "sell", D(1), D("4801.00"))
    assert ledger.cash == D("50037.50")


def test_the_oldest_lot_is_closed_first() -> None:
    ledger = Ledger(D(50_000))
    ledger.book(ES, "buy", D(1), D(4800))
    ledger.book(ES, "buy", D(1), D(4810))
    ledger.book(ES, "sell", D(1), D(4805))
    assert ledger.cash == D(50_250)
    assert ledger.holdings["ESH4"].avg_price == D(4810)


def test_a_position_may_turn_over_in_one_trade() -> None:
    ledger = Ledger(D(50_000))
    ledger.book(ES, "sell", D(2), D(4800))
    ledger.book(ES, "buy", D(5), D(4790))
    assert ledger.cash == D(51_000)
    assert ledger.qty("ESH4") == 3
    assert ledger.holdings["ESH4"].avg_price == D(4790)


def test_a_fraction_of_a_coin_is_exact() -> None:
    ledger = Ledger(D(1_000))
    for _ in range(3):
        ledger.book(BTC, "buy", D("0.0001"), D("61000.5"))
    assert ledger.cash == D("981.69985")
    assert ledger.holdings["BTC/USD"].cost == D("18.30015")


trades = st.lists(
    st.tuples(st.sampled_from(["buy", "sell"]), st.integers(1, 50), st.integers(1, 100_000)), max_size=40
)


def book_all(listing: Listing, script: list[Trade]) -> tuple[Ledger, D, D]:
    """The ledger, the net quantity and the signed notional of the script."""
    ledger, net, notional = Ledger(D(0)), D(0), D(0)
    for side, lots, ticks in script:
        qty, price = listing.lot * lots, listing.tick * ticks
        signed = qty if side == "buy" else -qty
        ledger.book(listing, side, qty, price)
        net += signed
        notional += signed * price * listing.multiplier
    return ledger, net, notional


@given(trades)
def test_stock_cash_is_what_all_trades_cost(script: list[Trade]) -> None:
    ledger, net, notional = book_all(AAPL, script)
    assert ledger.cash == -notional
    assert ledger.qty("AAPL") == net


@given(trades)
def test_profit_realised_is_what_all_trades_made_less_what_the_open_lots_cost(script: list[Trade]) -> None:
    for listing in (ES, AAPL, BTC):
        ledger, net, notional = book_all(listing, script)
        holding = ledger.holdings.get(listing.symbol)
        cost = D(0) if holding is None else holding.cost
        realized = D(0) if holding is None else holding.realized
        assert realized == cost - notional
        if listing.asset_class == "future":
            assert ledger.cash == realized
        if holding is not None:
            assert sum((lot.qty for lot in holding.lots), D(0)) == net
            assert len({lot.qty > 0 for lot in holding.lots}) <= 1
