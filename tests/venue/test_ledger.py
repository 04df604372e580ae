"""Cash and first-in-first-out lots, to the last digit."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from ordergate.venue.ledger import Ledger
from ordergate.venue.words import Listing, SideName
from tests.venue.listings import AAPL, BTC, ES

Trade = tuple[SideName, int, int]  # side, lots, ticks


def test_buying_stock_pays_its_notional_and_selling_it_returns_it() -> None:
    ledger = Ledger(Decimal(10_000))
    ledger.book(AAPL, "buy", Decimal(10), Decimal("190.01"))
    assert ledger.cash == Decimal("8099.90")
    ledger.book(AAPL, "sell", Decimal(10), Decimal("191.01"))
    assert ledger.cash == Decimal("10010.00")
    assert ledger.qty("AAPL") == 0


def test_opening_a_future_moves_no_cash_and_closing_it_pays_the_profit() -> None:
    ledger = Ledger(Decimal(50_000))
    ledger.book(ES, "buy", Decimal(2), Decimal("4800.25"))
    assert ledger.cash == Decimal(50_000)
    ledger.book(ES, "sell", Decimal(1), Decimal("4801.00"))
    assert ledger.cash == Decimal("50037.50")


def test_the_oldest_lot_is_closed_first() -> None:
    ledger = Ledger(Decimal(50_000))
    ledger.book(ES, "buy", Decimal(1), Decimal(4800))
    ledger.book(ES, "buy", Decimal(1), Decimal(4810))
    ledger.book(ES, "sell", Decimal(1), Decimal(4805))
    assert ledger.cash == Decimal(50_250)
    assert ledger.holdings["ESH4"].avg_price == Decimal(4810)


def test_a_position_may_turn_over_in_one_trade() -> None:
    ledger = Ledger(Decimal(50_000))
    ledger.book(ES, "sell", Decimal(2), Decimal(4800))
    ledger.book(ES, "buy", Decimal(5), Decimal(4790))
    assert ledger.cash == Decimal(51_000)
    assert ledger.qty("ESH4") == 3
    assert ledger.holdings["ESH4"].avg_price == Decimal(4790)


def test_a_fraction_of_a_coin_is_exact() -> None:
    ledger = Ledger(Decimal(1_000))
    for _ in range(3):
        ledger.book(BTC, "buy", Decimal("0.0001"), Decimal("61000.5"))
    assert ledger.cash == Decimal("981.69985")
    assert ledger.holdings["BTC/USD"].cost == Decimal("18.30015")


trades = st.lists(
    st.tuples(st.sampled_from(["buy", "sell"]), st.integers(1, 50), st.integers(1, 100_000)), max_size=40
)


def book_all(listing: Listing, script: list[Trade]) -> tuple[Ledger, Decimal, Decimal]:
    """The ledger, the net quantity and the signed notional of the script."""
    ledger, net, notional = Ledger(Decimal(0)), Decimal(0), Decimal(0)
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
        cost = Decimal(0) if holding is None else holding.cost
        realized = Decimal(0) if holding is None else holding.realized
        assert realized == cost - notional
        if listing.asset_class == "future":
            assert ledger.cash == realized
        if holding is not None:
            assert sum((lot.qty for lot in holding.lots), Decimal(0)) == net
            assert len({lot.qty > 0 for lot in holding.lots}) <= 1
