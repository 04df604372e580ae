"""The books by double entry say what the folded books say, whatever happens to executions."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.core.accounts import account as accounts
from ordergate.core.accounts import events as a
from ordergate.core.accounts.account import Account
from ordergate.core.accounts.ledger import (
    CASH,
    EQUITY,
    Ledger,
    adjusted,
    cash_of,
    position_of,
    profit_of,
    traded,
)
from ordergate.core.faults import InvariantBroken
from ordergate.core.ids import Symbol
from ordergate.core.instruments import Instrument
from ordergate.core.money import ZERO
from ordergate.core.orders import events as e
from ordergate.core.orders.order import first
from ordergate.core.orders.terms import Side
from tests.core.examples import ACCOUNT, FUTURE, NOW, SHARE, accepted, completed, future, share, terms
from tests.core.histories import Step, histories, live

INSTRUMENTS = {SHARE: share(), FUTURE: future()}
OPENED = a.AccountOpened(
    account=ACCOUNT, at=NOW, broker="paper", broker_account="1", currency="USD", cash=Decimal(1_000)
)
BOOKS = st.lists(
    st.tuples(st.sampled_from([SHARE, FUTURE]), st.sampled_from(Side), histories()), min_size=1, max_size=3
)


def seen(*parts: object) -> tuple[object, ...]:
    return parts


def posted(ledger: Ledger, before: Account, event: e.AnyOrderEvent, after: Account, symbol: Symbol) -> None:
    if after is not before:
        ledger.post(traded(before, after, INSTRUMENTS[symbol], event))


@given(BOOKS)
def test_debits_equal_credits_and_cash_is_the_folds_after_every_event(
    book: list[tuple[Symbol, Side, list[Step]]],
) -> None:
    account, ledger = accounts.opened(OPENED), Ledger()
    ledger.post(adjusted(None, account, INSTRUMENTS.values()))
    for symbol, side, history in book:
        for before, event, _ in live(first(accepted(terms(side, 10, 100, symbol=symbol))), history):
            was, account = account, accounts.book(account, INSTRUMENTS[symbol], before, event)
            posted(ledger, was, event, account, symbol)
            ledger.require_agreement(account)
    for symbol, instrument in INSTRUMENTS.items():
        position = account.position(symbol)
        carried = position.cost * instrument.multiplier if instrument.moves_cash_on_trade else ZERO
        assert ledger.balances[position_of(symbol)] == carried
        assert ledger.balances[profit_of(symbol)] == -position.realised * instrument.multiplier
    assert ledger.balances[EQUITY] == -1_000


@given(BOOKS)
def test_the_position_is_the_sum_of_the_live_executions_of_all_orders(
    book: list[tuple[Symbol, Side, list[Step]]],
) -> None:
    account = accounts.opened(OPENED)
    held = dict.fromkeys(INSTRUMENTS, ZERO)
    for symbol, side, history in book:
        order = first(accepted(terms(side, 10, 100, symbol=symbol)))
        for before, event, after in live(order, history):
            account = accounts.book(account, INSTRUMENTS[symbol], before, event)
            order = after
        held[symbol] += side.sign * sum(one.quantity for one in order.executions.values())
    assert {symbol: account.position(symbol).quantity for symbol in INSTRUMENTS} == held


def test_a_fee_is_paid_from_cash_and_stays_paid_when_the_execution_is_taken_back() -> None:
    account, ledger = accounts.opened(OPENED), Ledger()
    ledger.post(adjusted(None, account, []))
    fill = msgspec.structs.replace(completed(10, 20), fee=Decimal(3))
    bust = e.ExecutionBusted(order_id=fill.order_id, at=NOW, exec_id=fill.exec_id)
    for before, event, _ in live(first(accepted()), [lambda _: (fill,), lambda _: (bust,)]):
        was, account = account, accounts.book(account, share(), before, event)
        posted(ledger, was, event, account, SHARE)
    assert seen(account.cash, ledger.balances["fees"]) == (997, 3)
    ledger.require_agreement(account)


def test_a_holding_taken_over_comes_from_outside() -> None:
    before, ledger = accounts.opened(OPENED), Ledger()
    ledger.post(adjusted(None, before, [share()]))
    event = a.PositionAdjusted(
        account=ACCOUNT, at=NOW, symbol=SHARE, quantity=Decimal(2), price=Decimal(30), why="held before"
    )
    after = accounts.evolve(before, event)
    ledger.post(adjusted(before, after, [share()]))
    ledger.require_agreement(after)
    assert seen(ledger.balances[position_of(SHARE)], ledger.balances[EQUITY]) == (60, -1_060)


def test_cash_in_another_currency_comes_from_outside_as_well() -> None:
    opened = msgspec.structs.replace(OPENED, foreign_cash={"EUR": Decimal(7)})
    before, ledger = accounts.opened(opened), Ledger()
    ledger.post(adjusted(None, before, []))
    event = a.CashAdjusted(account=ACCOUNT, at=NOW, amount=Decimal(-2), why="a fee", currency="EUR")
    after = accounts.evolve(before, event)
    ledger.post(adjusted(before, after, []))
    ledger.require_agreement(after)
    assert seen(ledger.balances[cash_of("EUR")], ledger.balances[EQUITY]) == (5, -1_005)


@pytest.mark.parametrize("instrument", [share(), future()], ids=["share", "future"])
def test_books_that_create_money_are_caught(instrument: Instrument) -> None:
    before = accounts.opened(OPENED)
    order = first(accepted(terms(symbol=instrument.symbol)))
    after = accounts.book(before, instrument, order, completed(10, 20))
    wrong = msgspec.structs.replace(after, cash=after.cash + 1)
    with pytest.raises(InvariantBroken, match="does not balance"):
        traded(before, wrong, instrument, completed(10, 20))
    ledger = Ledger()
    ledger.post(adjusted(None, before, []))
    with pytest.raises(InvariantBroken, match="by entries"):
        ledger.require_agreement(msgspec.structs.replace(before, cash=Decimal(1_001)))
    ledger.balances[CASH] += 1
    with pytest.raises(InvariantBroken, match="debits"):
        ledger.require_agreement(before)
