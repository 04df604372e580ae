"""An account's books, what is shown of them, and how they differ from a broker's."""

from decimal import Decimal

import msgspec
import pytest

from ordergate.core.accounts import account as accounts
from ordergate.core.accounts import events as a
from ordergate.core.accounts import views
from ordergate.core.accounts.account import Account
from ordergate.core.accounts.breaks import Nature, cash_differences, position_differences
from ordergate.core.accounts.positions import Lot
from ordergate.core.ids import Symbol
from ordergate.core.orders import events as e
from ordergate.core.orders.order import evolve
from ordergate.core.orders.terms import Side
from ordergate.core.risk import trading_state
from ordergate.core.risk.trading_state import Grade, KillEngaged, KillReleased, TradingState
from tests.core.examples import (
    ACCOUNT,
    FUTURE,
    NOW,
    SHARE,
    accepted,
    account,
    acknowledged,
    completed,
    filled,
    folded,
    future,
    ids,
    later,
    share,
    terms,
    working,
)

OPENED = a.AccountOpened(
    account=ACCOUNT, at=NOW, broker="paper", broker_account="1", currency="USD", cash=Decimal(1000)
)
BREAK = a.BreakOpened(
    account=ACCOUNT,
    at=NOW,
    break_id="k-1",
    nature="position",
    severity="severe",
    subject="AAPL",
    ours="1",
    theirs="2",
)


def folded_account(*events: a.AnyAccountEvent) -> Account:
    books = accounts.opened(OPENED)
    for event in events:
        books = accounts.evolve(books, event)
    return books


def test_an_account_opens_with_what_the_broker_says_it_has() -> None:
    books = folded_account()
    assert (books.id, books.broker_account, books.currency) == (ACCOUNT, "1", "USD")
    assert books.cash == 1000
    assert accounts.evolve(books, OPENED) == books


def test_a_break_stays_open_until_it_is_resolved() -> None:
    books = folded_account(BREAK)
    assert list(books.breaks) == ["k-1"]
    other = msgspec.structs.replace(BREAK, break_id="k-2")
    resolved = a.BreakResolved(
        account=ACCOUNT, at=NOW, break_id="k-1", action="adopt", actor="anna", reason="the fill came"
    )
    assert list(folded_account(BREAK, other, resolved).breaks) == ["k-2"]


@pytest.mark.parametrize("quantity", [5, -5])
def test_a_position_taken_over_moves_no_cash(quantity: int) -> None:
    adjusted = a.PositionAdjusted(
        account=ACCOUNT, at=NOW, symbol=SHARE, quantity=Decimal(quantity), price=Decimal(90), why="opening"
    )
    books = folded_account(adjusted)
    assert books.position(SHARE).lots == (Lot(Decimal(quantity), Decimal(90)),)
    assert books.cash == 1000


def test_a_share_is_paid_for_when_it_is_traded_and_a_fee_is_a_cost() -> None:
    order = working()
    fill = msgspec.structs.replace(filled(4, 100), fee=Decimal("0.35"))
    books = accounts.book(account(1000), share(), order, fill)
    assert books.cash == Decimal("599.65")
    assert books.position(SHARE).quantity == 4


def test_a_future_moves_cash_by_its_realised_profit_only() -> None:
    bought = working(terms(Side.BUY, 2, 4800, symbol=FUTURE))
    sold = working(terms(Side.SELL, 2, 4810, symbol=FUTURE), 1)
    books = accounts.book(account(1000), future(), bought, completed(2, 4800))
    assert books.cash == 1000
    books = accounts.book(books, future(), sold, completed(2, 4810, number=1))
    assert books.cash == 1000 + 2 * 10 * 50
    assert books.position(FUTURE).lots == ()


def test_a_busted_execution_is_booked_back_and_a_corrected_one_booked_anew() -> None:
    order = evolve(working(), filled(4, 100))
    books = accounts.book(account(1000), share(), working(), filled(4, 100))
    busted = accounts.book(books, share(), order, e.ExecutionBusted(order_id=ids(), at=NOW, exec_id="x-1"))
    assert busted.cash == 1000
    assert busted.position(SHARE).quantity == 0
    correction = e.ExecutionCorrected(
        order_id=ids(), at=NOW, exec_id="x-1", revision=1, quantity=Decimal(3), price=Decimal(99)
    )
    corrected = accounts.book(books, share(), order, correction)
    assert corrected.cash == 1000 - 3 * 99
    assert corrected.position(SHARE).quantity == 3


def test_an_execution_that_gets_its_time_last_is_closed_in_its_turn() -> None:
    undated = working(terms(Side.BUY, 1, 4800, symbol=FUTURE))
    bought = working(terms(Side.BUY, 1, 4810, symbol=FUTURE), 1)
    sold = working(terms(Side.SELL, 1, 4820, symbol=FUTURE), 2)
    later_buy = msgspec.structs.replace(completed(1, 4810, number=1), broker_at=later(2))
    sale = msgspec.structs.replace(completed(1, 4820, number=2), broker_at=later(3))
    overtaken = completed(1, 4800)
    books = accounts.book(account(1000), future(), bought, later_buy)
    books = accounts.book(books, future(), undated, overtaken)
    books = accounts.book(books, future(), sold, sale)
    assert books.cash == 1000 + 10 * 50
    dated = e.ExecutionCorrected(
        order_id=ids(),
        at=NOW,
        exec_id="x-1",
        revision=0,
        quantity=Decimal(1),
        price=Decimal(4800),
        broker_at=later(1),
    )
    books = accounts.book(books, future(), evolve(undated, overtaken), dated)
    assert books.cash == 1000 + 20 * 50
    assert books.position(FUTURE).lots == (Lot(Decimal(1), Decimal(4810)),)


def test_an_execution_that_was_taken_back_before_it_was_told_moves_nothing() -> None:
    bust = e.ExecutionBusted(order_id=ids(), at=NOW, exec_id="never-told")
    assert accounts.book(account(1000), share(), working(), bust) == account(1000)


def test_an_execution_corrected_to_nothing_leaves_no_position() -> None:
    order = evolve(working(), filled(4, 100))
    books = accounts.book(account(1000), share(), working(), filled(4, 100))
    gone = e.ExecutionCorrected(
        order_id=ids(), at=NOW, exec_id="x-1", revision=1, quantity=Decimal(0), price=Decimal(100)
    )
    assert accounts.book(books, share(), order, gone).cash == 1000


def test_order_events_that_are_no_executions_leave_the_books_alone() -> None:
    assert accounts.book(account(), share(), working(), acknowledged()) == account()


def test_positions_differ_where_quantities_do_and_in_order_of_symbol() -> None:
    ours = {SHARE: Decimal(5), FUTURE: Decimal(1), Symbol("MSFT"): Decimal(2)}
    theirs = {SHARE: Decimal("5.0"), FUTURE: Decimal(2), Symbol("TSLA"): Decimal(-1)}
    found = position_differences(ours, theirs)
    assert [(each.subject, each.ours, each.theirs) for each in found] == [
        ("ESH6", "1", "2"),
        ("MSFT", "2", "0"),
        ("TSLA", "0", "-1"),
    ]
    assert {each.nature for each in found} == {Nature.POSITION}
    assert position_differences(ours, ours) == []


def test_cash_differs_to_the_last_digit_or_not_at_all() -> None:
    assert cash_differences({"USD": Decimal("10.00")}, {"USD": Decimal(10)}) == []
    (found,) = cash_differences({"USD": Decimal("10.01")}, {"USD": Decimal(10)})
    assert (found.nature, found.subject, found.ours, found.theirs) == (Nature.CASH, "USD", "10.01", "10")


def test_each_currency_differs_for_itself_and_none_that_is_not_named_is_there() -> None:
    ours = {"USD": Decimal(10), "EUR": Decimal(5), "CHF": Decimal(0)}
    theirs = {"USD": Decimal(10), "JPY": Decimal(7)}
    found = cash_differences(ours, theirs)
    assert [(one.subject, one.ours, one.theirs) for one in found] == [("EUR", "5", "0"), ("JPY", "0", "7")]


def test_cash_is_adjusted_in_the_currency_that_is_named_or_in_the_accounts_own() -> None:
    before = account("10")
    for currency in (None, "USD"):
        event = a.CashAdjusted(account=ACCOUNT, at=NOW, amount=Decimal(2), why="w", currency=currency)
        after = accounts.evolve(before, event)
        assert (after.cash, after.foreign_cash) == (Decimal(12), {})
    abroad = a.CashAdjusted(account=ACCOUNT, at=NOW, amount=Decimal(-2), why="w", currency="EUR")
    after = accounts.evolve(accounts.evolve(before, abroad), abroad)
    assert (after.cash, after.foreign_cash) == (Decimal(10), {"EUR": Decimal(-4)})
    assert [after.cash_in(currency) for currency in ("USD", "EUR", "JPY")] == [10, -4, 0]


def test_an_order_is_shown_in_plain_decimal_strings() -> None:
    order = folded(accepted(terms(quantity=10, limit="100.50")), acknowledged(), filled(4, "100.25"))
    shown = views.order_view(order)
    assert (shown.quantity, shown.limit_price, shown.stop_price) == ("10", "100.5", None)
    assert (shown.cum_qty, shown.leaves_qty, shown.avg_px) == ("4", "6", "100.25")
    assert (shown.status, shown.broker_order_id) == ("working", "b-1")
    assert views.order_view(working(terms(limit=None, stop="99.50"))).stop_price == "99.5"


def test_an_execution_is_shown_live_corrected_or_busted() -> None:
    fill = msgspec.structs.replace(
        filled(4, 100), fee=Decimal("0.350"), broker_order_id="b-1", broker_at=later()
    )
    order = evolve(working(), fill)
    shown = views.execution_view(order, "x-1", fill)
    assert (shown.quantity, shown.price, shown.fee, shown.status) == ("4", "100", "0.35", "live")
    assert (shown.broker_order_id, shown.broker_at) == ("b-1", later())
    correction = e.ExecutionCorrected(
        order_id=ids(), at=NOW, exec_id="x-1", revision=1, quantity=Decimal(3), price=Decimal(99)
    )
    shown = views.execution_view(evolve(order, correction), "x-1", correction)
    assert (shown.quantity, shown.revision, shown.status) == ("3", 1, "corrected")
    bust = e.ExecutionBusted(order_id=ids(), at=NOW, exec_id="x-1")
    shown = views.execution_view(evolve(order, bust), "x-1", bust)
    assert (shown.quantity, shown.status) == ("0", "busted")


def test_an_execution_that_was_changed_is_shown_with_its_own_time_and_fee_and_order() -> None:
    fill = msgspec.structs.replace(
        filled(4, 100), fee=Decimal("0.350"), broker_order_id="b-1", broker_at=later()
    )
    order = msgspec.structs.replace(evolve(working(), fill), broker_order_id="b-2")
    changes = (
        e.ExecutionCorrected(
            order_id=ids(), at=NOW, exec_id="x-1", revision=1, quantity=Decimal(3), price=Decimal(99)
        ),
        e.ExecutionBusted(order_id=ids(), at=NOW, exec_id="x-1"),
    )
    for change in changes:
        shown = views.execution_view(evolve(order, change), "x-1", change)
        assert (shown.broker_at, shown.fee, shown.broker_order_id) == (later(), "0.35", "b-1")


def test_a_position_is_shown_in_money_and_a_flat_one_has_no_average() -> None:
    books = account(positions={FUTURE: (2, 4800)})
    shown = views.position_view(books, books.position(FUTURE), future())
    assert (shown.quantity, shown.avg_px, shown.cost, shown.currency) == ("2", "4800", "480000", "USD")
    flat = views.position_view(books, books.position(SHARE), share())
    assert (flat.quantity, flat.avg_px, flat.cost, flat.realised_pnl) == ("0", None, "0", "0")


def test_a_balance_is_shown_as_it_is() -> None:
    (shown,) = views.balance_views(account("1000.10"))
    assert (shown.account_id, shown.currency, shown.cash) == (ACCOUNT, "USD", "1000.1")


def test_the_kill_switch_holds_until_it_is_released() -> None:
    engaged = KillEngaged(at=NOW, grade=Grade.CANCEL_ALL, actor="risk", reason="drill")
    state = trading_state.evolve(TradingState(), engaged)
    assert TradingState().kill is None
    kill = state.kill
    assert kill is not None
    assert (kill.grade, kill.level, kill.actor, kill.since) == (Grade.CANCEL_ALL, "global", "risk", NOW)
    released = KillReleased(at=NOW, actor="risk", reason="over")
    assert trading_state.evolve(state, released) == TradingState()
