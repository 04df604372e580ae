"""The account's books by double entry: a second way to the same figures, and a check of the first.

Every event that moves money or positions is one entry whose debits equal its credits; an entry is in the
currency of its instrument, and its fee in the account's. A security is
carried at cost; a future is carried at nothing and settles its profit in cash. Debits are positive.
Pure; used where books are proved, not where orders are decided.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

import msgspec

from ordergate.core.accounts.account import Account
from ordergate.core.faults import InvariantBroken
from ordergate.core.instruments import Instrument
from ordergate.core.money import ZERO
from ordergate.core.orders import events as e

CASH: Final = "cash"
FEES: Final = "fees"
EQUITY: Final = "equity"


class Line(msgspec.Struct, frozen=True):
    """One account of the ledger, moved by a signed amount."""

    account: str
    amount: Decimal


def position_of(symbol: str) -> str:
    return f"position {symbol}"


def cash_of(currency: str) -> str:
    return f"{CASH} {currency}"


def profit_of(symbol: str) -> str:
    return f"profit {symbol}"


def traded(before: Account, after: Account, instrument: Instrument, event: e.AnyOrderEvent) -> list[Line]:
    """The entry of an execution, of its bust, or of its correction. Raises InvariantBroken."""
    symbol = instrument.symbol
    old, new = before.position(symbol), after.position(symbol)
    fee = event.fee if isinstance(event, e.OrderPartiallyFilled | e.OrderFilled) else ZERO
    cost = (new.cost - old.cost) * instrument.multiplier if instrument.moves_cash_on_trade else ZERO
    profit = (new.realised - old.realised) * instrument.multiplier
    abroad = [
        Line(cash_of(currency), amount - before.foreign_cash.get(currency, ZERO))
        for currency, amount in after.foreign_cash.items()
    ]
    lines = [
        Line(CASH, after.cash - before.cash),
        *abroad,
        Line(position_of(symbol), cost),
        Line(FEES, fee),
        Line(profit_of(symbol), -profit),
    ]
    return _balanced(lines, f"{type(event).__name__} of {event.order_id}")


def adjusted(before: Account | None, after: Account, instruments: Iterable[Instrument]) -> list[Line]:
    """The entry of what came from outside: an opening balance, a holding taken over, a correction of cash."""
    cash = after.cash - (ZERO if before is None else before.cash)
    lines = [Line(CASH, cash)]
    for currency, amount in after.foreign_cash.items():
        lines.append(Line(cash_of(currency), amount - (ZERO if before is None else before.cash_in(currency))))
    for instrument in instruments:
        if instrument.moves_cash_on_trade:
            old = ZERO if before is None else before.position(instrument.symbol).cost
            cost = (after.position(instrument.symbol).cost - old) * instrument.multiplier
            lines.append(Line(position_of(instrument.symbol), cost))
    lines.append(Line(EQUITY, -sum((line.amount for line in lines), ZERO)))
    return lines


def _balanced(lines: list[Line], what: str) -> list[Line]:
    left = sum((line.amount for line in lines), ZERO)
    if left != ZERO:
        raise InvariantBroken(f"the entry of {what} does not balance: {left} is left over")
    return lines


class Ledger:
    """Balances by account of the ledger, debit positive. They always add up to nothing."""

    def __init__(self) -> None:
        self.balances: defaultdict[str, Decimal] = defaultdict(Decimal)

    def post(self, lines: Iterable[Line]) -> None:
        for line in lines:
            self.balances[line.account] += line.amount

    @property
    def debits(self) -> Decimal:
        return sum((amount for amount in self.balances.values() if amount > ZERO), ZERO)

    @property
    def credits(self) -> Decimal:
        return -sum((amount for amount in self.balances.values() if amount < ZERO), ZERO)

    def require_agreement(self, account: Account) -> None:
        """The folded account and the ledger say the same. Raises InvariantBroken."""
        if self.debits != self.credits:
            raise InvariantBroken(f"{account.id}: debits are {self.debits}, credits {self.credits}")
        if self.balances[CASH] != account.cash:
            raise InvariantBroken(f"{account.id}: cash is {account.cash}, by entries {self.balances[CASH]}")
        for currency, amount in account.foreign_cash.items():
            if (entered := self.balances[cash_of(currency)]) != amount:
                raise InvariantBroken(f"{account.id}: {currency} is {amount}, by entries {entered}")
